"""The table of states, and what is between an attach and the start."""

import select
import socket
import threading
import time

import pytest

from wherry.containers.attach_parking import announced, park, take_parked
from wherry.containers.config import ContainerConfig, HostConfig
from wherry.containers.container import TRANSITIONS, Container, Record, Status, Trigger
from wherry.containers.status_text import human_duration, status_text
from wherry.errors import System
from wherry.monitor.attach_options import AttachOptions

SECOND = 1_000_000_000


def make(status: Status = Status.CREATED) -> Container:
    record = Record(
        id="a" * 64, name="x", created_ns=1, image_id="sha256:0", chain_id="", platform="linux", path="sh", args=[],
        config=ContainerConfig(), host_config=HostConfig(),
    )  # fmt: skip
    record.state.status = status
    return Container(record)


def test_every_state_can_be_left_and_a_removed_one_never_comes_back() -> None:
    assert {before for before, _ in TRANSITIONS} == set(Status)
    assert (Status.REMOVING, Trigger.START) not in TRANSITIONS
    assert (Status.DEAD, Trigger.START) not in TRANSITIONS


def test_a_step_that_is_not_in_the_table_is_refused() -> None:
    container = make(Status.RUNNING)
    with pytest.raises(System, match="no step remove from state running"):
        container.move(Trigger.REMOVE)
    container.move(Trigger.PAUSE)
    assert container.running
    container.move(Trigger.EXIT)
    assert container.state.status is Status.EXITED


def test_a_change_wakes_those_who_wait_in_a_poll_of_their_own() -> None:
    container = make(Status.RUNNING)
    with container.woken() as first, container.woken() as second:
        assert select.select([first, second], [], [], 0)[0] == []
        container.move(Trigger.EXIT)
        assert select.select([first, second], [], [], 0)[0] == [first, second]
    container.move(Trigger.START)
    assert container.wakes == set()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.5, "Less than a second"), (1, "1 second"), (59, "59 seconds"), (60, "About a minute"), (119, "About a minute"),
        (120, "2 minutes"), (3599, "59 minutes"), (3600, "About an hour"), (5400, "2 hours"), (47 * 3600, "47 hours"),
        (48 * 3600, "2 days"), (13 * 86400, "13 days"), (14 * 86400, "2 weeks"), (60 * 86400, "2 months"),
        (730 * 86400, "2 years"),
    ],
)  # fmt: skip
def test_durations_read_as_in_docker_ps(seconds: float, text: str) -> None:
    assert human_duration(int(seconds * SECOND)) == text


def test_the_status_column() -> None:
    now = 1_000 * SECOND
    container = make()
    assert status_text(container, now) == "Created"
    container.state.started_at_ns = now - 3 * SECOND
    container.state.status = Status.RUNNING
    assert status_text(container, now) == "Up 3 seconds"
    container.health = {"Status": "starting"}
    assert status_text(container, now) == "Up 3 seconds (health: starting)"
    container.health = {"Status": "healthy"}
    assert status_text(container, now) == "Up 3 seconds (healthy)"
    container.state.status = Status.PAUSED
    assert status_text(container, now) == "Up 3 seconds (Paused)"
    container.state.status = Status.EXITED
    container.state.exit_code = 3
    container.state.finished_at_ns = now - 120 * SECOND
    assert status_text(container, now) == "Exited (3) 2 minutes ago"
    container.state.status = Status.RESTARTING
    assert status_text(container, now) == "Restarting (3) 2 minutes ago"


def test_a_start_waits_for_a_client_that_has_been_told_that_it_is_attached() -> None:
    """Seen as lost output of one in some hundred ``run``: the client's start overtook the parking of its socket."""
    container = make()
    ours, theirs = socket.socketpair()
    told = threading.Event()

    def attach() -> None:
        with announced(container):
            told.set()
            time.sleep(0.1)
            park(container, theirs.fileno(), AttachOptions(stdout=True))

    with ours, theirs:
        client = threading.Thread(target=attach)
        client.start()
        told.wait(5)
        parked = take_parked(container)
        client.join(5)
        assert [waiting.options.stdout for waiting in parked] == [True]
        for waiting in parked:
            waiting.close()

"""Restart policies: the rules as a table, and real restarts."""

import time

import pytest

from tests.monitor.conftest import Machine, wait_until
from wherry.monitor.restart import RestartPolicy


def delays(policy: RestartPolicy, runs: list[tuple[int, float]]) -> list[float | None]:
    return [policy.after_exit(code, ran) for code, ran in runs]


def test_the_delay_doubles_to_a_minute() -> None:
    policy = RestartPolicy("always")
    expected = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0]
    assert delays(policy, [(0, 0.5)] * 12) == pytest.approx(expected)
    assert policy.count == 12


def test_a_run_of_ten_seconds_begins_again_at_the_first_delay() -> None:
    policy = RestartPolicy("always")
    assert delays(policy, [(1, 1), (1, 1), (1, 9.99), (1, 10), (1, 1)]) == pytest.approx([0.1, 0.2, 0.4, 0.1, 0.2])


@pytest.mark.parametrize(
    ("name", "code", "restarts"),
    [("no", 1, False), ("", 1, False), ("always", 0, True), ("unless-stopped", 0, True), ("on-failure", 0, False),
     ("on-failure", 1, True)],
)  # fmt: skip
def test_which_exits_are_answered(name: str, code: int, restarts: bool) -> None:
    assert (RestartPolicy(name).after_exit(code, 1) is not None) == restarts


def test_on_failure_stops_after_its_retries() -> None:
    policy = RestartPolicy("on-failure", 2)
    assert [d is not None for d in delays(policy, [(1, 1)] * 4)] == [True, True, False, False]


def test_a_person_who_stops_a_container_means_it() -> None:
    policy = RestartPolicy("always")
    policy.cancel()
    assert policy.after_exit(1, 1) is None


def test_an_unknown_policy_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid restart policy 'sometimes'"):
        RestartPolicy("sometimes")


@pytest.mark.privileged
def test_a_container_is_started_again_with_its_log_and_its_client_gone(machine: Machine) -> None:
    box = machine.shell("echo run; exit 3", restart={"policy": "on-failure", "max_retries": 2})
    status = box.wait_exit()
    assert status["code"] == 3
    assert [e["restarting"] for e in box.named("exited")] == [True, True, False]
    assert [e["delay_seconds"] for e in box.named("exited")] == [0.1, 0.2, None]
    assert box.named("exited")[-1]["restart_count"] == 2
    assert box.output() == "run\n" * 3
    assert len(box.named("started")) == 3


@pytest.mark.privileged
def test_stop_ends_a_container_that_waits_for_its_restart(machine: Machine) -> None:
    box = machine.shell("exit 1", restart={"policy": "always"})
    box.wait_event("exited", count=3)  # the next delay is 0.4 s
    wait_until(lambda: box.connection.state()["status"] == "restarting", what="restarting")
    began = time.monotonic()
    box.connection.stop(15, 10)
    assert not box.wait_exit()["restarting"]
    assert time.monotonic() - began < 0.4


@pytest.mark.privileged
def test_stop_and_kill_prevent_the_restart_of_a_running_container(machine: Machine) -> None:
    for stop in (True, False):
        box = machine.run(["/bin/sleep", "100"], restart={"policy": "always"})
        if stop:
            box.connection.stop(15, 0.1)
        else:
            box.connection.kill(9)
        assert not box.wait_exit()["restarting"]


@pytest.mark.privileged
def test_another_signal_lets_the_policy_decide(machine: Machine) -> None:
    script = "trap 'exit 1' HUP; echo up; while :; do sleep 0.02; done"
    box = machine.shell(script, restart={"policy": "always"})
    wait_until(lambda: "up" in box.output(), what="up")
    box.connection.kill(1)
    box.wait_event("started", count=2)
    assert box.named("exited")[0]["restarting"]


@pytest.mark.privileged
def test_a_changed_policy_counts_from_the_next_exit(machine: Machine) -> None:
    box = machine.shell("trap 'exit 1' HUP; echo up; while :; do sleep 0.02; done", restart={"policy": "always"})
    wait_until(lambda: "up" in box.output(), what="up")
    box.connection.set_restart("no")
    box.connection.kill(1)
    assert not box.wait_exit()["restarting"]


@pytest.mark.privileged
def test_changed_limits_outlive_a_restart(machine: Machine) -> None:
    box = machine.shell("sleep 0.3; exit 1", restart={"policy": "always"})
    box.connection.update({"pids": {"limit": 7}})
    box.wait_event("started", count=2)
    assert box.connection.stats()["pids"]["limit"] == 7

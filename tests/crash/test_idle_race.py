"""The engine goes idle and comes back: no client notices, and what happened meanwhile has its consequences."""

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.crash.api_request import request
from tests.crash.conftest import eventually
from tests.crash.consistency import assert_consistent
from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(100)]

_TIMEOUT_SECONDS = 0.15


@pytest.fixture
def engine(make_engine: Callable[..., EngineUnderTest]) -> EngineUnderTest:
    """One that ends after a moment without a request."""
    return make_engine({"idle-timeout": _TIMEOUT_SECONDS})


def asleep(engine: EngineUnderTest) -> None:
    eventually(lambda: engine.engine_pid() == 0, "the idle exit")


def test_no_client_that_comes_at_the_moment_of_the_idle_exit_sees_an_error(engine: EngineUnderTest) -> None:
    random.seed(5)
    pids = set()
    for turn in range(50):
        # Around the time at which the engine looks whether it may end, a step of a quarter of its time-out long.
        time.sleep(random.uniform(0.9, 1.4) * _TIMEOUT_SECONDS)
        status, created = request(engine.socket, "POST", f"/containers/create?name=c{turn}", {"Image": "busybox"})
        assert (status, turn) == (201, turn), created
        assert request(engine.socket, "DELETE", f"/containers/{created['Id']}")[0] == 204
        pids.add(engine.engine_pid())
    assert len(pids) > 5, "the engine hardly ever went idle"
    assert_consistent(engine)


def test_r14_what_ends_while_the_engine_is_away_is_removed_or_restarted(engine: EngineUnderTest) -> None:
    engine.wherry("run", "-d", "--rm", "--name", "passing", "-p", "80", "busybox", "sleep", "1.5")
    engine.wherry("run", "-d", "--restart", "always", "--name", "again", "busybox", "sh", "-c", "sleep 0.7; exit 4")
    engine.wherry("run", "-d", "--name", "stays", "busybox", "sh", "-c", "sleep 1; exit 5")
    asleep(engine)
    time.sleep(2.0)
    names = engine.docker("ps", "-a", "--format", "{{.Names}}").stdout.split()
    assert sorted(names) == ["again", "stays"]
    assert inspect(engine, "stays")["State"]["ExitCode"] == 5
    assert inspect(engine, "again")["RestartCount"] >= 1
    engine.docker("rm", "-f", "again", "stays")
    asleep(engine)
    engine.docker("version")
    assert_consistent(engine)


def test_a_client_that_waits_or_streams_keeps_the_engine(engine: EngineUnderTest) -> None:
    engine.wherry("run", "-d", "--name", "steady", "busybox", "sh", "-c", "sleep 1; echo end; exit 6")
    pid = engine.engine_pid()
    answers: list[Any] = []
    waiting = threading.Thread(
        target=lambda: answers.append(request(engine.socket, "POST", "/containers/steady/wait")[1])
    )
    waiting.start()
    time.sleep(4 * _TIMEOUT_SECONDS)
    assert engine.engine_pid() == pid
    waiting.join()
    assert answers[0]["StatusCode"] == 6
    asleep(engine)


def inspect(engine: EngineUnderTest, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(engine.docker("inspect", name).stdout)[0]
    return document

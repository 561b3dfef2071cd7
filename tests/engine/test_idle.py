"""The engine ends when nobody needs it, and is there again when somebody does."""

import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest
from wherry.engine.idle import Idle
from wherry.engine.workers import Workers

pytestmark = pytest.mark.privileged


def eventually(condition: Callable[[], bool], seconds: float = 8.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.05)


def test_an_idle_engine_ends_and_the_next_command_finds_everything(fresh_engine: EngineUnderTest) -> None:
    Path(fresh_engine.environment["WHERRY_CONFIG"]).write_text(json.dumps({"idle-timeout": 0.5}), encoding="utf-8")
    fresh_engine.wherry("system", "stop")
    fresh_engine.wherry("run", "-d", "--name", "steady", "busybox", "sleep", "60")
    eventually(lambda: fresh_engine.engine_pid() == 0)
    assert os.path.exists(fresh_engine.socket)
    assert fresh_engine.wherry("exec", "steady", "echo", "hi").stdout == "hi\n"
    first = fresh_engine.engine_pid()
    waiting = fresh_engine.start("wait", "steady")
    time.sleep(1.5)
    assert fresh_engine.engine_pid() == first, "it ended although a client waited"
    fresh_engine.wherry("kill", "steady")
    assert waiting.communicate(timeout=10)[0] == b"137\n"


def test_work_keeps_the_engine() -> None:
    idle = Idle(0.05)
    with idle.busy():
        time.sleep(0.1)
        assert not idle.expired()
    assert not idle.expired()
    time.sleep(0.1)
    assert idle.expired()


def test_workers_do_everything_before_they_end() -> None:
    workers = Workers()
    done: list[int] = []
    for number in range(100):
        workers.run(lambda number=number: done.append(number))  # type: ignore[misc]
    workers.close()
    assert sorted(done) == list(range(100))
    assert not workers.busy

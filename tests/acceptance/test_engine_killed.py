"""SIGKILL of the engine while containers live: nothing printed is lost, states and exit codes are right."""

import json
import time

import pytest

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged

_PRINTER = "i=0; while [ $i -lt 300 ]; do echo line $i; i=$((i+1)); usleep 5000; done; exit {code}"


@pytest.mark.timeout(120)
def test_ten_printing_containers_lose_nothing_when_the_engine_is_killed(fresh_engine: EngineUnderTest) -> None:
    attached = fresh_engine.start("run", "--name", "attached", "busybox", "sh", "-c", _PRINTER.format(code=9))
    ids = [
        fresh_engine.wherry(
            "run", "-d", "--name", f"printer{number}", "busybox", "sh", "-c", _PRINTER.format(code=number)
        ).stdout.strip()
        for number in range(10)
    ]
    waiting = fresh_engine.start("wait", *ids)
    time.sleep(0.5)
    fresh_engine.kill_engine()
    running = fresh_engine.wherry("ps", "--format", "{{.Names}}").stdout.split()
    assert {f"printer{number}" for number in range(10)} <= set(running)
    time.sleep(0.3)
    fresh_engine.kill_engine()
    codes = fresh_engine.wherry("wait", *ids).stdout.split()
    assert codes == [str(number) for number in range(10)]
    assert waiting.communicate(timeout=30)[0].decode().split() == codes
    expected = [f"line {number}" for number in range(300)]
    for container in ids:
        assert fresh_engine.wherry("logs", container).stdout.splitlines() == expected
    output, _ = attached.communicate(timeout=30)
    assert output.decode().splitlines() == expected
    assert attached.returncode == 9


@pytest.mark.timeout(120)
def test_r13_a_container_that_ends_while_no_engine_runs_keeps_its_code_and_time(
    fresh_engine: EngineUnderTest,
) -> None:
    fresh_engine.wherry("run", "-d", "--name", "ends", "busybox", "sh", "-c", "sleep 1; exit 42")
    fresh_engine.wherry("run", "-d", "--rm", "--name", "goes", "busybox", "sleep", "1")
    fresh_engine.kill_engine()
    time.sleep(1.5)
    state = json.loads(fresh_engine.wherry("inspect", "ends").stdout)[0]["State"]
    assert state["Status"] == "exited"
    assert state["ExitCode"] == 42
    assert state["FinishedAt"] > state["StartedAt"]
    deadline = time.monotonic() + 5
    while "goes" in fresh_engine.wherry("ps", "-a", "--format", "{{.Names}}").stdout:  # R14
        assert time.monotonic() < deadline, "a --rm container stayed after the engine came back"


@pytest.mark.timeout(120)
def test_r11_restarts_of_the_engine_do_not_touch_containers(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "lives", "busybox", "sleep", "1000")
    pid = json.loads(fresh_engine.wherry("inspect", "lives").stdout)[0]["State"]["Pid"]
    for _ in range(10):
        fresh_engine.kill_engine()
        state = json.loads(fresh_engine.wherry("inspect", "lives").stdout)[0]["State"]
        assert state["Running"] is True
        assert state["Pid"] == pid
    assert fresh_engine.wherry("exec", "lives", "echo", "still here").stdout == "still here\n"
    assert fresh_engine.wherry("stop", "-t", "0", "lives").stdout == "lives\n"


@pytest.mark.timeout(120)
def test_r15_a_killed_monitor_takes_its_container_along_and_is_noticed(fresh_engine: EngineUnderTest) -> None:
    import os
    import signal

    fresh_engine.wherry("run", "-d", "--name", "orphan", "busybox", "sleep", "1000")
    pid = json.loads(fresh_engine.wherry("inspect", "orphan").stdout)[0]["State"]["Pid"]
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        parent = next(int(line.split()[1]) for line in file if line.startswith("PPid:"))
    os.kill(parent, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while json.loads(fresh_engine.wherry("inspect", "orphan").stdout)[0]["State"]["Running"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    while os.path.exists(f"/proc/{pid}"):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert fresh_engine.wherry("start", "orphan").stdout == "orphan\n"

"""The zygote and the monitors die: by themselves, together with the engine, and while there is none."""

import json
import os
import signal
import socket
from typing import Any

import pytest

from tests.crash.conftest import alive, eventually, parent_of
from tests.crash.consistency import assert_consistent, firewall_ports, monitors, veths
from tests.crash.cut import wait_gone
from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(100)]

_SLEEP = ("busybox", "sh", "-c", "echo there; trap 'exit 3' TERM; while :; do sleep 0.05; done")


def inspect(engine: EngineUnderTest, name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(engine.wherry("inspect", name).stdout)[0]
    return document


def check_works(engine: EngineUnderTest, name: str, pid: int) -> None:
    """It is the same process, and everything can be done with it."""
    assert inspect(engine, name)["State"]["Pid"] == pid
    assert engine.wherry("exec", name, "echo", "here").stdout == "here\n"
    assert engine.wherry("logs", name).stdout == "there\n"
    engine.wherry("run", "--rm", "busybox", "true")
    assert_consistent(engine)


@pytest.mark.parametrize("engine_too", [False, True], ids=["alone", "with_the_engine"])
def test_r11_the_zygote_is_killed_and_containers_live_on(fresh_engine: EngineUnderTest, *, engine_too: bool) -> None:
    engine = fresh_engine
    engine.wherry("run", "-d", "--name", "steady", "-p", "80", *_SLEEP)
    pid = inspect(engine, "steady")["State"]["Pid"]
    for _ in range(3):
        running = engine.engine_pid()
        zygote = parent_of(running)
        os.kill(zygote, signal.SIGKILL)
        if engine_too:
            os.kill(running, signal.SIGKILL)
        check_works(engine, "steady", pid)
        wait_gone(running)
        assert parent_of(engine.engine_pid()) != zygote
    engine.wherry("stop", "steady")
    assert inspect(engine, "steady")["State"]["ExitCode"] == 3
    engine.wherry("rm", "steady")
    assert_consistent(engine)


def test_r15_monitors_killed_while_the_engine_is_down(fresh_engine: EngineUnderTest) -> None:
    """Also of a container that was to be removed, and of one that was to be restarted."""
    engine = fresh_engine
    engine.wherry("run", "-d", "--name", "plain", "-p", "80", *_SLEEP)
    engine.wherry("run", "-d", "--rm", "--name", "passing", "-p", "81", *_SLEEP)
    engine.wherry("run", "-d", "--restart", "always", "--name", "again", "-p", "82", *_SLEEP)
    port = int(inspect(engine, "plain")["NetworkSettings"]["Ports"]["80/tcp"][0]["HostPort"])
    inits = [inspect(engine, name)["State"]["Pid"] for name in ("plain", "passing", "again")]
    found = monitors(engine)
    assert len(found) == 3
    zygote = parent_of(engine.engine_pid())
    os.kill(zygote, signal.SIGSTOP)  # so that no engine comes back meanwhile
    os.kill(engine.engine_pid(), signal.SIGKILL)
    for monitor in found:
        os.kill(monitor, signal.SIGKILL)
    os.kill(zygote, signal.SIGCONT)
    assert inspect(engine, "plain")["State"]["ExitCode"] == 137
    eventually(lambda: not any(alive(pid) for pid in inits), "the end of the containers")
    eventually(lambda: inspect(engine, "again")["State"]["Running"], "the restart")
    eventually(lambda: "passing" not in engine.wherry("ps", "-a", "--format", "{{.Names}}").stdout, "the removal")
    with socket.socket() as listener:  # the port is free
        listener.bind(("0.0.0.0", port))
    assert_consistent(engine)
    engine.wherry("rm", "plain")
    engine.wherry("rm", "-f", "again")
    assert (veths(engine), firewall_ports(engine)) == ([], set())


def test_r15_every_process_of_the_engine_dies_at_once(fresh_engine: EngineUnderTest) -> None:
    engine = fresh_engine
    engine.wherry("run", "-d", "--name", "first", "-p", "80", *_SLEEP)
    engine.wherry("run", "-d", "--name", "frozen", *_SLEEP)
    engine.wherry("pause", "frozen")
    inits = [inspect(engine, name)["State"]["Pid"] for name in ("first", "frozen")]
    running = engine.engine_pid()
    for pid in (parent_of(running), running, *monitors(engine)):
        os.kill(pid, signal.SIGKILL)
    for name in ("first", "frozen"):
        state = inspect(engine, name)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    eventually(lambda: not any(alive(pid) for pid in inits), "the end of the containers")
    assert_consistent(engine)
    engine.wherry("start", "first", "frozen")
    engine.wherry("rm", "-f", "first", "frozen")
    assert_consistent(engine)

"""What a container, or a client of its ports, does to make its monitor deaf, slow or dead."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import cast

import pytest

from tests.monitor.conftest import Machine, client_pair
from wherry.errors import WherryError
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.own_runtime import EXEC_SECONDS
from wherry.monitor.proxy import _Direction
from wherry.monitor.stdio import DRAIN_LIMIT_SECONDS


@pytest.mark.privileged
def test_a_container_that_stops_whoever_enters_it_can_still_be_ended(machine: Machine) -> None:
    """SIGSTOP to an exec that is being set up, by root in the same PID namespace: the monitor waited for ever, and
    the container could neither be stopped nor removed."""
    box = machine.shell(
        "while :; do for p in /proc/[0-9]*; do [ $p = /proc/1 ] || kill -STOP ${p#/proc/}; done 2>/dev/null; done"
    )
    caught: list[WherryError] = []

    def execute() -> None:
        try:
            for number in range(200):
                box.connection.exec(f"exec-{number}", machine.spec(["/bin/true"])["process"])
        except WherryError as exc:
            caught.append(exc)

    thread = threading.Thread(target=execute)
    thread.start()
    thread.join(EXEC_SECONDS + 20)
    assert not thread.is_alive()
    assert "not done within" in caught[0].message
    box.connection.stop(signal.SIGKILL, 0)
    assert box.wait_exit()["code"] == 137


@pytest.mark.privileged
def test_an_exec_whose_children_write_for_ever_ends_all_the_same(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    ours, theirs = client_pair()
    began = time.monotonic()
    box.connection.exec("one", machine.spec(["/bin/sh", "-c", "yes & exit 3"])["process"], fd=theirs.fileno(),
                        options=AttachOptions())  # fmt: skip
    theirs.close()
    while ours.recv(1 << 20):
        pass
    assert box.wait_event("exec_exited")["code"] == 3
    assert time.monotonic() - began < DRAIN_LIMIT_SECONDS + 5


@pytest.mark.timeout(20)
def test_two_peers_that_never_pause_do_not_hold_the_loop() -> None:
    """One turn of a proxied connection moves a bounded amount, however fast both ends are."""
    with open("/dev/zero", "rb", buffering=0) as source, open("/dev/null", "wb", buffering=0) as target:
        direction = _Direction(cast(socket.socket, source), cast(socket.socket, target))
        direction.pump()  # returns
        assert not direction.done
        direction.close()


def test_a_report_is_one_line_whatever_it_quotes() -> None:
    forged = "x\n2026-01-01T00:00:00Z wherry[1]: engine 1 started\x1b[2J"
    code = "import sys; from wherry.monitor.diagnostics import report; report(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", code, forged], capture_output=True, text=True, check=True, timeout=20
    )
    lines = done.stderr.splitlines()
    assert len([line for line in lines if line.startswith("20")]) == 1
    assert "\x1b" not in done.stderr


@pytest.mark.privileged
def test_a_monitor_without_descriptors_fails_a_probe_and_lives_on(machine: Machine) -> None:
    """Connections to a published port use descriptors up; a health check in that moment ended the container."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=2000)
    port = listener.getsockname()[1]
    box = machine.run(
        ["/bin/sleep", "100"],
        listeners=[listener.fileno()],
        network={
            "mode": "none",
            "proxies": [{"listener": 0, "protocol": "tcp", "address": "127.0.0.1", "port": port}],
        },
        health={"args": ["/bin/true"], "interval": 0.2, "timeout": 5.0, "retries": 1000},
    )
    box.wait_event("health")
    listener.close()
    monitor = box.connection.state()["monitor_pid"]
    limit = len(os.listdir(f"/proc/{monitor}/fd")) + 1
    subprocess.run(["prlimit", f"--pid={monitor}", f"--nofile={limit}:{limit}"], check=True, timeout=20)
    seen = len(box.named("health"))
    box.wait_event("health", count=seen + 4)
    assert box.named("health")[-1]["result"]["ExitCode"] == -1
    assert box.connection.state()["status"] == "running"


@pytest.mark.privileged
def test_the_callers_umask_and_directory_stay_outside() -> None:
    """`wherry serve` under umask 077 made mount points and volumes that only root could enter."""
    with tempfile.TemporaryDirectory(prefix="wh-mon-", dir="/tmp") as root:
        machine = Machine(Path(root))
        before = os.umask(0o077)
        try:
            machine.start_zygote()
            with open(f"/proc/{machine.pid}/status", encoding="ascii") as status:
                assert "Umask:\t0022\n" in status.read()
            assert os.readlink(f"/proc/{machine.pid}/cwd") == "/"
        finally:
            os.umask(before)
            machine.close()

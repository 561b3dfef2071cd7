"""Processes beside the container's init."""

import os
import signal
import socket
import threading

import pytest

from tests.monitor.conftest import Machine, client_pair, read_to_end, unframe, wait_until
from wherry.errors import NotFound
from wherry.monitor.attach_options import AttachOptions
from wherry.runtime.failure import RuntimeFailure

pytestmark = pytest.mark.privileged


def test_exec_streams_to_its_own_client_and_reports_its_code(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    ours, theirs = client_pair()
    process = machine.spec(["/bin/sh", "-c", "echo out; echo err >&2; exit 6"])["process"]
    box.connection.exec("one", process, fd=theirs.fileno(), options=AttachOptions())
    theirs.close()
    assert unframe(read_to_end(ours)) == {1: b"out\n", 2: b"err\n"}
    assert box.wait_event("exec_exited")["code"] == 6
    assert box.log() == []


def test_exec_reads_stdin_to_its_half_close(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    ours, theirs = client_pair()
    box.connection.exec("one", machine.spec(["/bin/cat"])["process"], fd=theirs.fileno(),
                        options=AttachOptions(stdin=True))  # fmt: skip
    theirs.close()
    ours.sendall(b"in\n")
    ours.shutdown(socket.SHUT_WR)
    assert unframe(read_to_end(ours)) == {1: b"in\n"}
    assert box.wait_event("exec_exited")["code"] == 0


def test_exec_on_a_terminal_can_be_resized(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    ours, theirs = client_pair()
    process = machine.spec(["/bin/sh", "-c", "read x; stty size"], terminal=True)["process"]
    box.connection.exec("one", process, fd=theirs.fileno(), options=AttachOptions(stdin=True, framed=False))
    theirs.close()
    box.connection.exec_resize("one", 12, 34)
    ours.sendall(b"\n")
    assert b"12 34" in read_to_end(ours)


def test_exec_of_what_is_not_there_fails_with_127_and_the_client_stays_the_engines(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    ours, theirs = client_pair()
    with pytest.raises(RuntimeFailure) as caught:
        box.connection.exec("one", machine.spec(["/bin/nothing"])["process"], fd=theirs.fileno(),
                            options=AttachOptions())  # fmt: skip
    assert caught.value.exit_code == 127
    theirs.sendall(b"still open")
    assert ours.recv(100) == b"still open"
    assert box.connection.state()["execs"] == []


def test_exec_dies_with_the_container_and_its_exit_is_told_before_the_end(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    box.connection.exec("one", machine.spec(["/bin/sleep", "100"])["process"])
    box.connection.kill(signal.SIGKILL)
    box.wait_exit()
    assert [e["code"] for e in box.named("exec_exited")] == [137]


def test_exec_signal_reaches_the_process_and_an_unknown_one_is_not_found(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    box.connection.exec("one", machine.spec(["/bin/sleep", "100"])["process"])
    box.connection.exec_signal("one", signal.SIGKILL)
    assert box.wait_event("exec_exited")["code"] == 137
    with pytest.raises(NotFound, match="No such exec instance: one"):
        box.connection.exec_signal("one", signal.SIGKILL)


def test_many_execs_at_once_keep_their_streams_apart(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    results: dict[int, bytes] = {}

    def one(number: int) -> None:
        ours, theirs = client_pair()
        process = machine.spec(["/bin/sh", "-c", f"seq 1 500; echo end {number}"])["process"]
        box.connection.exec(str(number), process, fd=theirs.fileno(), options=AttachOptions())
        theirs.close()
        results[number] = unframe(read_to_end(ours))[1]

    threads = [threading.Thread(target=one, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    numbers = "".join(f"{n}\n" for n in range(1, 501))
    assert results == {n: f"{numbers}end {n}\n".encode() for n in range(12)}


def test_r27_execs_that_succeed_and_fail_leave_nothing(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    monitor = box.connection.state()["monitor_pid"]
    good, bad = machine.spec(["/bin/true"])["process"], machine.spec(["/bin/nothing"])["process"]

    def churn(rounds: int) -> None:
        for number in range(rounds):
            box.connection.exec(f"g{number}", good)
            with pytest.raises(RuntimeFailure):
                box.connection.exec(f"b{number}", bad)
        wait_until(lambda: not box.connection.state()["execs"], what="end of the execs")

    churn(5)
    before = len(os.listdir(f"/proc/{monitor}/fd"))
    churn(60)
    assert len(os.listdir(f"/proc/{monitor}/fd")) == before
    assert box.connection.processes() == [box.connection.state()["pid"]]
    with open(f"/proc/{monitor}/task/{monitor}/children", encoding="ascii") as file:
        assert file.read().split() == [str(box.connection.state()["pid"])]


def test_s53_monitor_and_exec_helper_cannot_be_inspected(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    monitor = box.connection.state()["monitor_pid"]
    # A process that is not dumpable belongs to root in /proc and is closed to everybody without CAP_SYS_PTRACE.
    pid = os.fork()
    if pid == 0:
        try:
            os.setresgid(65534, 65534, 65534)
            os.setresuid(0, 0, 0)
            os.setresuid(65534, 65534, 65534)
            os.readlink(f"/proc/{monitor}/exe")
        except PermissionError:
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    with open(f"/proc/{monitor}/cmdline", encoding="ascii") as file:
        assert str(machine.root) not in file.read()
    with open(f"/proc/{monitor}/environ", encoding="ascii") as file:
        assert "PATH" not in file.read()

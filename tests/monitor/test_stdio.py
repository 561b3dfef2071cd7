"""Attached clients: several, slow, gone, half-closed, on terminals."""

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.monitor.conftest import Machine, client_pair, read_to_end, unframe, wait_until
from wherry.monitor.attach_options import AttachOptions

pytestmark = pytest.mark.privileged

FRAMED = AttachOptions(stdin=True)
RAW = AttachOptions(stdin=True, framed=False)


def test_a_client_attached_before_the_start_gets_every_byte_framed(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/sh", "-c", "echo one; echo two >&2"], attach=[(theirs.fileno(), AttachOptions())])
    theirs.close()
    box.connection.start()
    assert unframe(read_to_end(ours)) == {1: b"one\n", 2: b"two\n"}


def test_several_clients_get_the_same_output(machine: Machine) -> None:
    pairs = [client_pair() for _ in range(3)]
    box = machine.spawn(
        ["/bin/sh", "-c", "seq 1 2000"], attach=[(theirs.fileno(), AttachOptions()) for _, theirs in pairs]
    )
    for _, theirs in pairs:
        theirs.close()
    box.connection.start()
    expected = "".join(f"{n}\n" for n in range(1, 2001)).encode()
    assert [unframe(read_to_end(ours))[1] for ours, _ in pairs] == [expected] * 3


def test_a_client_that_wants_only_stderr_gets_only_that(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(
        ["/bin/sh", "-c", "echo one; echo two >&2"], attach=[(theirs.fileno(), AttachOptions(stdout=False))]
    )
    theirs.close()
    box.connection.start()
    assert unframe(read_to_end(ours)) == {2: b"two\n"}


def test_stdin_flows_and_its_end_ends_the_process_with_stdin_once(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/cat"], open_stdin=True, stdin_once=True, attach=[(theirs.fileno(), FRAMED)])
    theirs.close()
    box.connection.start()
    ours.sendall(b"hello\n")
    ours.shutdown(socket.SHUT_WR)
    assert unframe(read_to_end(ours)) == {1: b"hello\n"}
    assert box.wait_exit()["code"] == 0


def test_input_that_came_with_the_request_head_is_not_lost(machine: Machine) -> None:
    ours, theirs = client_pair()
    options = AttachOptions(stdin=True, leftover=b"first ")
    box = machine.spawn(["/bin/cat"], open_stdin=True, stdin_once=True, attach=[(theirs.fileno(), options)])
    theirs.close()
    ours.sendall(b"second")
    ours.shutdown(socket.SHUT_WR)
    box.connection.start()
    assert unframe(read_to_end(ours)) == {1: b"first second"}


def test_without_stdin_once_the_end_of_a_clients_input_ends_only_the_client(machine: Machine) -> None:
    box = machine.run(["/bin/cat"], open_stdin=True)
    for word in (b"a\n", b"b\n"):
        ours, theirs = client_pair()
        box.connection.attach(theirs.fileno(), FRAMED)
        theirs.close()
        ours.sendall(word)
        assert ours.recv(100)[8:] == word
        ours.shutdown(socket.SHUT_WR)
        assert read_to_end(ours) == b""
    assert box.connection.state()["status"] == "running"


def test_without_open_stdin_the_process_reads_the_end_at_once(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/cat"], attach=[(theirs.fileno(), FRAMED)])
    theirs.close()
    ours.sendall(b"ignored" * 100_000)
    box.connection.start()
    assert read_to_end(ours) == b""
    assert box.wait_exit()["code"] == 0


def test_a_megabyte_through_stdin_and_back_is_whole(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/cat"], open_stdin=True, stdin_once=True, log={"driver": "none"},
                        attach=[(theirs.fileno(), FRAMED)])  # fmt: skip
    theirs.close()
    box.connection.start()
    sent = os.urandom(4 << 20)
    pid = os.fork()
    if pid == 0:
        ours.sendall(sent)
        ours.shutdown(socket.SHUT_WR)
        os._exit(0)
    received = unframe(read_to_end(ours))[1]
    os.waitpid(pid, 0)
    assert received == sent


def test_a_slow_client_slows_the_container_and_loses_nothing(machine: Machine) -> None:
    ours, theirs = client_pair()
    script = "seq 1 600000; echo done >&2"
    box = machine.spawn(
        ["/bin/sh", "-c", script], log={"driver": "none"}, attach=[(theirs.fileno(), AttachOptions())]
    )
    theirs.close()
    box.connection.start()
    time.sleep(0.5)
    assert box.connection.state()["status"] == "running"
    resident = _resident_bytes(box.connection.state()["monitor_pid"])
    streams = unframe(read_to_end(ours))
    assert streams[1] == "".join(f"{n}\n" for n in range(1, 600001)).encode()
    assert streams[2] == b"done\n"
    assert resident < 40 << 20


def _resident_bytes(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


def test_a_client_that_is_gone_does_not_hold_the_container(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/sh", "-c", "seq 1 600000; exit 4"], log={"driver": "none"},
                        attach=[(theirs.fileno(), AttachOptions())])  # fmt: skip
    theirs.close()
    box.connection.start()
    ours.recv(10)
    ours.close()
    assert box.wait_exit()["code"] == 4


def test_a_client_reads_the_rest_after_the_container_is_over(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/sh", "-c", "seq 1 100000"], attach=[(theirs.fileno(), AttachOptions())])
    theirs.close()
    box.connection.start()
    assert box.wait_exit()["code"] == 0
    assert unframe(read_to_end(ours))[1] == "".join(f"{n}\n" for n in range(1, 100001)).encode()


def test_r29_attach_disconnects_leave_no_descriptor(machine: Machine) -> None:
    box = machine.run(["/bin/cat"], open_stdin=True)
    monitor = box.connection.state()["monitor_pid"]
    before = len(os.listdir(f"/proc/{monitor}/fd"))
    for number in range(200):
        ours, theirs = client_pair()
        box.connection.attach(theirs.fileno(), FRAMED if number % 2 else RAW)
        theirs.close()
        ours.close()
    wait_until(lambda: len(os.listdir(f"/proc/{monitor}/fd")) == before, what="descriptors closed")


def test_a_terminal_is_one_stream_with_a_size(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/sh", "-c", "read line; stty size; echo err >&2"], terminal=True, open_stdin=True,
                        attach=[(theirs.fileno(), RAW)])  # fmt: skip
    theirs.close()
    box.connection.start()
    box.connection.resize(33, 99)
    ours.sendall(b"\n")
    assert b"33 99\r\nerr\r\n" in read_to_end(ours)
    assert box.wait_exit()["code"] == 0


def test_detach_keys_end_the_client_and_not_the_container(machine: Machine) -> None:
    box = machine.run(["/bin/cat"], terminal=True, open_stdin=True)
    ours, theirs = client_pair()
    box.connection.attach(theirs.fileno(), RAW)
    theirs.close()
    ours.sendall(b"x\x10\x11")
    assert read_to_end(ours) in (b"x", b"")
    box.wait_event("detached")
    assert box.connection.state()["status"] == "running"


def test_keys_of_an_unfinished_detach_sequence_are_typed(machine: Machine) -> None:
    box = machine.run(["/bin/sh", "-c", "read -r line; echo got:$line"], terminal=True, open_stdin=True)
    ours, theirs = client_pair()
    box.connection.attach(theirs.fileno(), AttachOptions(stdin=True, framed=False, detach_keys="a,b"))
    theirs.close()
    ours.sendall(b"a")
    ours.sendall(b"c\n")
    assert b"got:ac" in read_to_end(ours)


def test_an_output_pipe_that_somebody_outside_holds_does_not_hold_the_exit(machine: Machine) -> None:
    spec = machine.spec(["/bin/sh", "-c", "echo up; sleep 100"])
    box = machine.run([], spec=spec)
    wait_until(lambda: "up" in box.output(), what="up")
    holder = os.open(f"/proc/{box.connection.state()['pid']}/fd/1", os.O_WRONLY)
    try:
        box.connection.kill(signal.SIGKILL)
        assert box.wait_exit(seconds=8)["code"] == 137
    finally:
        os.close(holder)

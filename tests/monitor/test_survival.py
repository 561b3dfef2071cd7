"""Containers without an engine, engines that come and go, the zygote's own life."""

import contextlib
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

import pytest

from tests.monitor.conftest import ENGINE, Machine, client_pair, read_to_end, run_quiet, unframe, wait_until
from wherry.linux.fdsocket import connect_unix, listen_unix
from wherry.linux.memfd import ALL_SEALS, seals
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.client import Dispatcher

pytestmark = pytest.mark.privileged


def leave(machine: Machine) -> None:
    """The engine dies: all its connections end at once."""
    machine.zygote.close()
    machine.dispatcher.close()
    machine.dispatcher = Dispatcher()
    machine.connect()


def test_r12_nothing_that_a_container_prints_without_an_engine_is_lost(machine: Machine) -> None:
    script = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo line $i; done; sleep 0.2; echo end"
    box = machine.shell(script)
    leave(machine)
    wait_until(lambda: (box.data_dir / "exit.json").exists(), seconds=20, what="exit.json")
    assert [r["log"] for r in box.log()] == [f"line {n}\n" for n in range(1, 3001)] + ["end\n"]


def test_r13_an_exit_without_an_engine_is_recorded(machine: Machine) -> None:
    boxes = [machine.shell(f"sleep 0.2; exit {code}") for code in range(10, 20)]
    leave(machine)
    for code, box in zip(range(10, 20), boxes, strict=True):
        path = box.data_dir / "exit.json"
        wait_until(path.exists, what="exit.json")
        status = json.loads(path.read_text())
        assert status["code"] == code
        assert status["finished_at"] > status["started_at"]


def test_a_new_engine_finds_the_container_and_hears_its_end(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    pid = box.connection.state()["pid"]
    leave(machine)
    again = machine.reconnect(box)
    state = again.connection.state()
    assert (state["status"], state["pid"]) == ("running", pid)
    again.connection.kill(signal.SIGKILL)
    assert again.wait_exit()["code"] == 137


def test_an_attached_client_survives_the_engine(machine: Machine) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/cat"], open_stdin=True, stdin_once=True,
                        attach=[(theirs.fileno(), AttachOptions(stdin=True))])  # fmt: skip
    theirs.close()
    box.connection.start()
    leave(machine)
    ours.sendall(b"still here\n")
    ours.shutdown(socket.SHUT_WR)
    assert unframe(read_to_end(ours)) == {1: b"still here\n"}


def test_an_engine_that_does_not_read_is_hung_up_on_r30(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    with connect_unix(f"{box.run_dir}/monitor.sock", socket.SOCK_SEQPACKET) as deaf:
        for _ in range(400):
            box.connection.pause()
            box.connection.resume()
        deaf.settimeout(5)
        heard = 0
        while deaf.recv(65536):
            heard += 1
        assert 50 < heard < 800
    assert box.connection.state()["status"] == "running"
    wait_until(lambda: len(box.named("resumed")) == 400, what="events of the engine that reads")


def test_monitors_outlive_the_zygote(machine: Machine) -> None:
    box = machine.shell("sleep 0.5; echo end; exit 8")
    os.kill(machine.pid, signal.SIGKILL)
    os.waitpid(machine.pid, 0)
    assert machine.lost.wait(5)
    assert box.wait_exit()["code"] == 8
    assert box.output() == "end\n"
    machine.engine_command = (sys.executable, "-c", ENGINE)
    machine.start_zygote()
    assert machine.run(["/bin/true"]).wait_exit()["code"] == 0


def test_a_replaced_zygote_keeps_engine_sockets_and_monitors(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    children = f"/proc/{machine.pid}/task/{machine.pid}/children"
    before = Path(children).read_text()
    machine.zygote._channel.request({"op": "replace"})
    assert machine.lost.wait(5)  # ours was not the engine's inherited connection
    machine.lost.clear()
    machine.connect()
    assert machine.zygote.version()["pid"] == machine.pid
    assert Path(children).read_text() == before
    assert not machine.zygote.replace_if_stale()
    box.connection.kill(9)
    box.wait_exit()
    assert machine.run(["/bin/true"]).wait_exit()["code"] == 0
    monitor = before.split()[-1]
    wait_until(lambda: not os.path.exists(f"/proc/{monitor}"), what="reaping of the old monitor")


def test_the_zygote_runs_from_a_sealed_copy_of_the_interpreter_s33(machine: Machine) -> None:
    assert os.readlink(f"/proc/{machine.pid}/exe").startswith("/memfd:wherry-python")
    fd = os.open(f"/proc/{machine.pid}/exe", os.O_RDONLY)
    assert seals(fd) == ALL_SEALS
    os.close(fd)
    # ETXTBSY while it runs, EPERM by the seal afterwards: never writable.
    with pytest.raises(OSError), open(f"/proc/{machine.pid}/exe", "r+b", buffering=0) as file:
        file.write(b"x")
    box = machine.run(["/bin/sleep", "100"], init=True)
    assert os.readlink(f"/proc/{box.connection.state()['pid']}/exe").startswith("/memfd:wherry-python")


def test_nothing_of_the_engines_environment_reaches_monitor_or_container_s60(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"], init=True)
    state = box.connection.state()
    for pid in (machine.pid, state["monitor_pid"], state["pid"]):
        assert b"PATH=" + os.environ["PATH"].encode() not in Path(f"/proc/{pid}/environ").read_bytes()
        assert str(machine.root).encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()


def descriptors(pid: int) -> set[str]:
    """What a process holds, where that names one thing in the system (sockets, files, pipes)."""
    links = {os.readlink(fd) for fd in Path(f"/proc/{pid}/fd").iterdir()}
    return {link for link in links if not link.startswith(("anon_inode:", "net:", "/memfd:wherry-spec", "/dev/null"))}


def test_r32_monitors_hold_no_descriptor_of_each_other_or_the_zygote(machine: Machine) -> None:
    boxes = [machine.run(["/bin/sleep", "100"]) for _ in range(3)]
    log = str(machine.log_file)
    held = [descriptors(machine.pid) - {log}]
    held += [descriptors(box.connection.state()["monitor_pid"]) - {log} for box in boxes]
    for number, one in enumerate(held):
        for other in held[:number]:
            assert not one & other


def test_an_idle_monitor_is_small_r26(machine: Machine) -> None:
    """P16: 2 MB each with twenty of them, which the bench measures; here 5% more may pass, as it varies by 2%. The
    zygote's ``.pyc`` files exist: compiling would leave a larger heap."""
    boxes = [machine.run(["/bin/sleep", "100"]) for _ in range(20)]
    time.sleep(0.2)
    sizes = []
    for box in boxes[:-1]:
        rollup = Path(f"/proc/{box.connection.state()['monitor_pid']}/smaps_rollup").read_text()
        sizes.append(next(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")))
    assert sorted(sizes)[len(sizes) // 2] <= 2150


# The engine as the zygote's child


def zygote_children(machine: Machine) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{machine.pid}/task/{machine.pid}/children").read_text().split()]


def engines(machine: Machine) -> list[int]:
    return [pid for pid in zygote_children(machine) if Path(f"/proc/{pid}/comm").read_text() != "wherry-monitor\n"]


def restart_with(machine: Machine, code: str) -> None:
    os.kill(machine.pid, signal.SIGTERM)
    os.waitpid(machine.pid, 0)
    machine.engine_command = (sys.executable, "-c", code)
    machine.start_zygote()


SERVE_ONE = """
import os, socket, sys
listener = socket.socket(fileno=3)
assert os.environ["LISTEN_FDS"] == "1" and os.environ["LISTEN_PID"] == str(os.getpid())
connection, _ = listener.accept()
connection.sendall(b"pid %d" % os.getpid())
connection.close()
sys.exit(0)
"""


def ask(machine: Machine) -> bytes:
    with connect_unix(machine.settings.api_socket, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        return read_to_end(connection)


def test_an_engine_that_went_idle_is_started_by_the_next_client(machine: Machine) -> None:
    restart_with(machine, SERVE_ONE)
    first = ask(machine)
    wait_until(lambda: not engines(machine), what="idle exit")
    time.sleep(0.1)
    assert not engines(machine)
    second = ask(machine)
    assert first.startswith(b"pid ") and second.startswith(b"pid ") and first != second


def test_an_engine_that_cannot_start_is_told_to_the_client_and_not_started_in_a_loop(machine: Machine) -> None:
    counter = machine.root / "starts"
    restart_with(machine, f"open({str(counter)!r}, 'a').write('x'); raise SystemExit('no good settings')")
    answer = ask(machine)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"no good settings" in answer
    time.sleep(0.5)
    with contextlib.suppress(OSError):
        ask(machine)
    assert len(counter.read_text()) <= 4


def test_a_crashed_engine_is_started_again_at_once(machine: Machine) -> None:
    code = """
import os, signal, socket
from wherry.monitor.client import Dispatcher, Zygote
zygote = Zygote.inherited(Dispatcher(), lambda: os._exit(1))
zygote.ready()
parent = os.getppid()
while os.getppid() == parent:
    signal.sigtimedwait([], 0.05)
"""
    restart_with(machine, code)
    first = wait_until(lambda: engines(machine), what="engine")[0]
    time.sleep(1.0)
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: engines(machine) and engines(machine)[0] != first, seconds=3, what="another engine")


def test_a_monitor_without_engine_wakes_one_at_the_end(machine: Machine) -> None:
    mark = machine.root / "woken"
    code = f"import socket; socket.socket(fileno=3).accept(); open({str(mark)!r}, 'a').write('x')"
    restart_with(machine, code)
    ask_quietly = connect_unix(machine.settings.api_socket, socket.SOCK_STREAM)  # the first engine goes idle
    wait_until(mark.exists, what="first engine")
    ask_quietly.close()
    machine.shell("sleep 0.3")
    leave(machine)
    wait_until(lambda: mark.read_text() == "xx", what="woken engine")


def test_sigterm_ends_engine_and_zygote_and_leaves_the_containers(machine: Machine) -> None:
    box = machine.shell("sleep 1; exit 6")
    engine = engines(machine)[0]
    os.kill(machine.pid, signal.SIGTERM)
    assert os.waitpid(machine.pid, 0)[1] == 0
    machine.pid = 0
    assert not os.path.exists(f"/proc/{engine}")
    assert not os.path.exists(machine.settings.api_socket)
    assert not os.path.exists(machine.settings.zygote_socket)
    assert box.wait_exit()["code"] == 6


def test_sockets_are_for_root_only_s91(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    for path in (machine.settings.zygote_socket, machine.settings.api_socket, f"{box.run_dir}/monitor.sock"):
        assert os.stat(path).st_mode & 0o777 == 0o600
    assert "@" not in "".join(line.split()[-1] for line in run_quiet(["cat", "/proc/net/unix"]).splitlines()
                              if "wherry" in line)  # fmt: skip


def test_a_stale_socket_is_replaced(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    listen_unix(path, socket.SOCK_STREAM).close()
    with listen_unix(path, socket.SOCK_STREAM), connect_unix(path, socket.SOCK_STREAM):
        pass

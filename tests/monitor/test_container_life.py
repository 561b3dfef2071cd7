"""Create, start, exit, stop, pause, and what is left: nothing."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.monitor.conftest import Machine, wait_until
from wherry.errors import Conflict, InvalidParameter
from wherry.monitor.client import MonitorConnection, MonitorGone
from wherry.runtime.failure import RuntimeFailure

pytestmark = pytest.mark.privileged


def test_output_goes_to_the_log_and_the_exit_code_comes_back(machine: Machine) -> None:
    box = machine.shell("echo out; echo err >&2; exit 3")
    status = box.wait_exit()
    assert status["code"] == 3
    assert not status["restarting"]
    assert {(r["stream"], r["log"]) for r in box.log()} == {("stdout", "out\n"), ("stderr", "err\n")}


def test_a_signal_shows_as_128_and_its_number(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    box.connection.kill(signal.SIGKILL)
    assert box.wait_exit()["code"] == 137


def test_nothing_is_left_after_the_exit(machine: Machine) -> None:
    box = machine.run(["/bin/true"])
    spec = machine.spec([])
    parent = os.path.dirname(spec["linux"]["cgroupsPath"])
    box.wait_exit()
    assert not box.run_dir.exists()
    assert not [str(p) for p in Path("/sys/fs/cgroup").glob(f"*{parent}/{machine.root.name}-*")]
    assert str(machine.root) not in Path("/proc/self/mountinfo").read_text()
    wait_until(lambda: not _monitors_of(machine), what="end of the monitor process")


def _monitors_of(machine: Machine) -> list[int]:
    children = Path(f"/proc/{machine.pid}/task/{machine.pid}/children").read_text().split()
    return [int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "wherry-monitor\n"]


def test_exit_json_is_there_before_anybody_hears_of_the_exit(machine: Machine) -> None:
    box = machine.shell("exit 9")
    box.wait_event("exited")
    assert json.loads((box.data_dir / "exit.json").read_text())["code"] == 9


def test_a_command_that_does_not_exist_fails_the_start_with_127(machine: Machine) -> None:
    box = machine.spawn(["/bin/nothing"])
    with pytest.raises(RuntimeFailure) as caught:
        box.connection.start()
    assert caught.value.exit_code == 127
    assert "no such file or directory" in caught.value.message
    assert box.wait_exit()["code"] == 127


def test_a_command_without_execute_permission_fails_the_start_with_126(machine: Machine) -> None:
    box = machine.spawn(["/etc/passwd"])
    with pytest.raises(RuntimeFailure) as caught:
        box.connection.start()
    assert caught.value.exit_code == 126
    assert box.wait_exit()["code"] == 126


def test_a_log_that_cannot_be_opened_fails_the_start(machine: Machine) -> None:
    box = machine.spawn(["/bin/true"], log={"driver": "json-file", "path": "/proc/no/container.log"})
    with pytest.raises(RuntimeFailure, match="open log"):
        box.connection.start()
    box.wait_exit()


def test_stop_sends_the_signal_and_returns_after_the_exit(machine: Machine) -> None:
    box = machine.shell("trap 'echo bye; exit 5' TERM; echo ready; while :; do sleep 0.02; done")
    wait_until(lambda: "ready" in box.output(), what="ready")
    box.connection.stop(signal.SIGTERM, 10)
    assert json.loads((box.data_dir / "exit.json").read_text())["code"] == 5
    assert box.wait_exit()["code"] == 5
    assert "bye" in box.output()


def test_stop_kills_after_the_time_out(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])  # PID 1 ignores SIGTERM
    began = time.monotonic()
    box.connection.stop(signal.SIGTERM, 0.3)
    assert 0.25 < time.monotonic() - began < 3
    assert box.wait_exit()["code"] == 137


def test_r34_stop_and_kill_work_on_a_paused_container(machine: Machine) -> None:
    ends: list[Callable[[MonitorConnection], None]] = [
        lambda connection: connection.stop(signal.SIGTERM, 0.2),
        lambda connection: connection.kill(signal.SIGKILL),
    ]
    for end in ends:
        box = machine.run(["/bin/sleep", "100"])
        box.connection.pause()
        assert box.connection.state()["status"] == "paused"
        began = time.monotonic()
        end(box.connection)
        assert box.wait_exit(seconds=2)["code"] == 137
        assert time.monotonic() - began < 2


def test_pause_and_resume_refuse_the_wrong_state_in_dockers_words(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    with pytest.raises(Conflict, match="is not paused"):
        box.connection.resume()
    box.connection.pause()
    with pytest.raises(Conflict, match="is already paused"):
        box.connection.pause()
    with pytest.raises(Conflict, match="unpause the container before exec"):
        box.connection.exec("e", machine.spec(["/bin/true"])["process"])
    box.connection.resume()
    box.wait_event("resumed")  # events are told by another thread than the answers
    assert [e["event"] for e in box.events] == ["started", "paused", "resumed"]


def test_a_killed_monitor_takes_its_container_along_r15(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    state = box.connection.state()
    os.kill(state["monitor_pid"], signal.SIGKILL)
    box.wait_event("disconnected")
    assert not box.named("exited")
    wait_until(lambda: not os.path.exists(f"/proc/{state['pid']}"), seconds=5, what="end of the init")
    with pytest.raises(MonitorGone):
        box.connection.state()


def test_r15_holds_for_a_user_that_is_not_root(machine: Machine) -> None:
    spec = machine.spec(["/bin/sleep", "100"])
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    other = machine.run([], spec=spec)
    state = other.connection.state()
    os.kill(state["monitor_pid"], signal.SIGKILL)
    wait_until(lambda: not os.path.exists(f"/proc/{state['pid']}"), seconds=5, what="end of the init")


def test_processes_of_a_container_in_the_hosts_pid_namespace_end_with_its_init(machine: Machine) -> None:
    spec = machine.spec(["/bin/sh", "-c", "sleep 1000 & echo $!; exit 0"])
    spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "pid"]
    box = machine.run([], spec=spec)
    box.wait_exit()
    pid = int(box.output())
    wait_until(lambda: not os.path.exists(f"/proc/{pid}"), seconds=3, what="end of the left process")


def test_a_request_that_is_wrong_is_answered_and_harms_nothing(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    with pytest.raises(InvalidParameter):
        box.connection.set_restart("sometimes")
    with pytest.raises(InvalidParameter):
        box.connection._ask({"op": "kill"})
    assert box.connection.state()["status"] == "running"


def test_stats_and_processes_tell_of_the_container(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"])
    assert box.connection.processes() == [box.connection.state()["pid"]]
    assert "memory" in box.connection.stats()
    assert box.connection.stats()["networks"] == {}


def test_an_oom_kill_is_recorded(machine: Machine) -> None:
    spec = machine.spec(["/bin/sh", "-c", "x=a; while :; do x=$x$x; done"])
    spec["linux"]["resources"] = {"memory": {"limit": 8 << 20}}
    box = machine.run([], spec=spec)
    status = box.wait_exit(seconds=30)
    assert status["code"] == 137
    assert status["oom"]


def test_init_reaps_orphans_and_hands_on_signals(machine: Machine) -> None:
    script = "(sleep 0.05 & ); trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done"
    box = machine.shell(script, init=True)
    wait_until(lambda: "up" in box.output(), what="up")
    time.sleep(0.2)
    pids = box.connection.processes()
    states = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] for pid in pids]
    assert "Z" not in states
    assert Path(f"/proc/{box.connection.state()['pid']}/comm").read_text() == "wherry-init\n"
    box.connection.stop(signal.SIGTERM, 5)
    assert box.wait_exit()["code"] == 7


def test_init_says_when_the_command_does_not_exist(machine: Machine) -> None:
    box = machine.spawn(["/bin/nothing"], init=True)
    with pytest.raises(RuntimeFailure) as caught:
        box.connection.start()
    assert caught.value.exit_code == 127


def test_s34_the_container_has_no_descriptor_but_its_three(machine: Machine) -> None:
    box = machine.run(["/bin/ls", "-l", "/proc/self/fd"])
    box.wait_exit()
    numbers = [line.split(" -> ")[0].split()[-1] for line in box.output().splitlines() if " -> " in line]
    assert set(numbers) - {"3"} == {"0", "1", "2"}  # 3 may be ls reading the directory
    for init in (False, True):
        box = machine.run(["/bin/sleep", "100"], init=init)
        assert sorted(os.listdir(f"/proc/{box.connection.state()['pid']}/fd")) == ["0", "1", "2"]
        pid = box.connection.exec("e", machine.spec(["/bin/sleep", "100"])["process"])
        assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2"]

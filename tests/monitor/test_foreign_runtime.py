"""Another OCI runtime under our monitor: real runc and crun."""

import shutil
import signal
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.monitor.conftest import Machine, client_pair, read_to_end, unframe, wait_until
from wherry.monitor.attach_options import AttachOptions
from wherry.runtime.failure import RuntimeFailure

pytestmark = [pytest.mark.privileged, pytest.mark.peer]


def _runtimes() -> list[str]:
    """runc, and crun where it works: it refuses a hybrid of cgroup v1 and v2 with controllers in v2."""
    unified = Path("/sys/fs/cgroup/unified/cgroup.controllers")
    return ["runc"] if unified.exists() and unified.read_text().strip() else ["runc", "crun"]


@pytest.fixture(params=_runtimes())
def runtime(request: pytest.FixtureRequest) -> dict[str, str]:
    path = shutil.which(request.param)
    assert path, f"install {request.param}"
    return {"path": path}


def overlay(machine: Machine) -> dict[str, Any]:
    layers = machine.root / "layers"
    for name in ("upper", "work"):
        (layers / name).mkdir(parents=True, exist_ok=True)
    return {"lower": [str(machine.rootfs())], "upper": str(layers / "upper"), "work": str(layers / "work"),
            "volatile": False, "readonly": False}  # fmt: skip


def test_a_life_on_an_overlay_that_the_host_never_sees(machine: Machine, runtime: dict[str, str]) -> None:
    box = machine.shell("echo out; echo x > /made; sleep 0.3; exit 3", runtime=runtime, rootfs=overlay(machine))
    assert str(machine.root) not in Path("/proc/self/mountinfo").read_text()
    assert box.wait_exit()["code"] == 3
    assert box.output() == "out\n"
    assert (machine.root / "layers" / "upper" / "made").read_text() == "x\n"
    assert not box.run_dir.exists()
    assert (machine.rootfs() / "bin" / "busybox").exists()


def test_exec_streams_and_codes(machine: Machine, runtime: dict[str, str]) -> None:
    box = machine.run(["/bin/sleep", "100"], runtime=runtime)
    ours, theirs = client_pair()
    process = machine.spec(["/bin/sh", "-c", "cat; exit 5"])["process"]
    box.connection.exec("e", process, fd=theirs.fileno(), options=AttachOptions(stdin=True))
    theirs.close()
    ours.sendall(b"hello")
    ours.shutdown(socket.SHUT_WR)
    assert unframe(read_to_end(ours)) == {1: b"hello"}
    assert box.wait_event("exec_exited")["code"] == 5


def test_a_terminal_comes_through_the_console_socket(machine: Machine, runtime: dict[str, str]) -> None:
    ours, theirs = client_pair()
    box = machine.spawn(["/bin/sh", "-c", "read x; stty size"], terminal=True, open_stdin=True, runtime=runtime,
                        attach=[(theirs.fileno(), AttachOptions(stdin=True, framed=False))])  # fmt: skip
    theirs.close()
    box.connection.start()
    box.connection.resize(20, 60)
    ours.sendall(b"\n")
    assert b"20 60" in read_to_end(ours)


def test_a_missing_command_is_127_in_the_runtimes_words(machine: Machine, runtime: dict[str, str]) -> None:
    box = machine.spawn(["nothing"], runtime=runtime)
    with pytest.raises(RuntimeFailure, match="executable file") as caught:
        box.connection.start()
    assert caught.value.exit_code == 127
    assert box.wait_exit()["code"] == 127


def test_stop_pause_and_restart(machine: Machine, runtime: dict[str, str]) -> None:
    box = machine.run(["/bin/sleep", "100"], runtime=runtime)
    box.connection.pause()
    assert box.connection.state()["status"] == "paused"
    box.connection.stop(signal.SIGTERM, 0.2)
    assert box.wait_exit()["code"] == 137
    box = machine.shell("exit 1", runtime=runtime, restart={"policy": "on-failure", "max_retries": 2})
    box.wait_exit(seconds=20)
    assert len(box.named("started")) == 3


def test_the_network_is_the_monitors(machine: Machine, runtime: dict[str, str]) -> None:
    box = machine.run(["/bin/sleep", "100"], runtime=runtime)
    state = box.connection.state()
    link = Path(f"/proc/{state['pid']}/ns/net").readlink()
    wait_until(lambda: Path(f"/proc/{state['monitor_pid']}/ns/net").readlink() == link, what="same namespace")

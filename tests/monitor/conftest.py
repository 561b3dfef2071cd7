"""A real zygote with real monitors and containers; the engine is the test."""

import itertools
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from wherry.errors import WherryError
from wherry.linux.memfd import sealed_bytes
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.bootstrap import ZygoteConfig, execute_zygote
from wherry.monitor.client import Dispatcher, MonitorConnection, Zygote
from wherry.settings import Settings

BUSYBOX = "/bin/busybox"
# A stand-in for the engine; it ends with its zygote, which a test may have killed.
ENGINE = "import os, time; zygote = os.getppid()\nwhile os.getppid() == zygote != 1: time.sleep(0.05)"


def wait_until(condition: Callable[[], Any], *, seconds: float = 10.0, what: str = "condition") -> Any:
    """The first true value of ``condition``; fails the test when the time is over."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        value = condition()
        if value:
            return value
        time.sleep(0.005)
    raise AssertionError(f"{what} did not come true within {seconds:g} s")


@dataclass
class RunningContainer:
    """One container under test: its connection and every event so far."""

    id: str
    connection: MonitorConnection
    run_dir: Path
    data_dir: Path
    events: list[dict[str, Any]] = field(default_factory=list)

    def named(self, event: str) -> list[dict[str, Any]]:
        return [item for item in self.events if item["event"] == event]

    def wait_event(self, event: str, *, count: int = 1, seconds: float = 15.0) -> dict[str, Any]:
        wait_until(lambda: len(self.named(event)) >= count, seconds=seconds, what=f"event {event}")
        return self.named(event)[count - 1]

    def wait_exit(self, *, seconds: float = 15.0) -> dict[str, Any]:
        """The final exit; the monitor has freed everything."""
        wait_until(lambda: self.named("disconnected"), seconds=seconds, what="end of the monitor")
        return self.named("exited")[-1]

    def log(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.data_dir / "container.log").read_text().splitlines()]

    def output(self) -> str:
        return "".join(record["log"] for record in self.log())


class Machine:
    """A run root with its zygote."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = Settings(data_root=str(root / "data"), run_root=str(root / "run"))
        (root / "run").mkdir()
        (root / "data").mkdir()
        self.log_file = root / "run" / "engine.log"
        self._ids = itertools.count(1)
        self._containers: list[RunningContainer] = []
        self._rootfs = root / "rootfs"
        self.engine_command: tuple[str, ...] = (sys.executable, "-c", ENGINE)
        self.pid = 0
        self.dispatcher = Dispatcher()
        self.lost = threading.Event()
        self._zygote: Zygote | None = None

    def start_zygote(self) -> None:
        environment_fd = sealed_bytes(json.dumps({"PATH": os.environ["PATH"]}).encode(), "environment")
        config = ZygoteConfig(
            run_root=self.settings.run_root,
            api_socket=self.settings.api_socket,
            zygote_socket=self.settings.zygote_socket,
            log_file=str(self.log_file),
            interpreter=os.path.realpath(sys.executable),
            engine_command=self.engine_command,
            environment_fd=environment_fd,
        )
        self.pid = os.fork()
        if self.pid == 0:
            try:
                os.setsid()
                log = os.open(self.log_file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                os.dup2(log, 1)
                os.dup2(log, 2)
                os.set_inheritable(environment_fd, True)
                execute_zygote(config)
            finally:
                os._exit(1)
        os.close(environment_fd)
        wait_until(lambda: os.path.exists(self.settings.zygote_socket), what="zygote socket")
        self.connect()

    def connect(self) -> None:
        """A new connection to the zygote, as a new engine would make it."""

        def attempt() -> bool:
            try:
                self._zygote = Zygote.connect(self.settings, self.dispatcher, self.lost.set)
            except WherryError:
                return False
            return True

        wait_until(attempt, what="connection to the zygote")

    @property
    def zygote(self) -> Zygote:
        assert self._zygote is not None
        return self._zygote

    def rootfs(self) -> Path:
        if not self._rootfs.exists():
            for name in ("bin", "dev", "proc", "sys", "etc", "tmp", "root"):
                (self._rootfs / name).mkdir(parents=True)
            shutil.copy(BUSYBOX, self._rootfs / "bin" / "busybox")
            for applet in ("sh", "cat", "echo", "true", "false", "sleep", "kill", "ps", "id", "ls", "yes", "head",
                           "seq", "wc", "stty", "trap", "env", "readlink", "nc", "dd", "grep", "touch"):  # fmt: skip
                (self._rootfs / "bin" / applet).symlink_to("busybox")
            (self._rootfs / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
        return self._rootfs

    def spec(self, args: list[str], *, terminal: bool = False) -> dict[str, Any]:
        capabilities = ["CAP_KILL", "CAP_SETUID", "CAP_SETGID", "CAP_CHOWN", "CAP_NET_BIND_SERVICE"]
        sets = dict.fromkeys(("bounding", "effective", "permitted"), capabilities)
        return {
            "ociVersion": "1.2.0",
            "process": {
                "terminal": terminal,
                "user": {"uid": 0, "gid": 0},
                "args": args,
                "env": ["PATH=/bin", "TERM=xterm"],
                "cwd": "/",
                "capabilities": sets,
            },
            "root": {"path": str(self.rootfs()), "readonly": False},
            "hostname": "box",
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
                {
                    "destination": "/dev/pts",
                    "type": "devpts",
                    "source": "devpts",
                    "options": ["newinstance", "ptmxmode=0666", "mode=0620"],
                },
            ],
            "linux": {
                "cgroupsPath": f"/wherry-test-{os.getpid()}/{self.root.name}-{next(self._ids)}",
                "namespaces": [{"type": kind} for kind in ("pid", "mount", "ipc", "uts", "network")],
            },
        }

    def spawn(
        self,
        args: list[str],
        *,
        attach: list[tuple[int, AttachOptions]] | None = None,
        listeners: list[int] | None = None,
        terminal: bool = False,
        **request: Any,
    ) -> RunningContainer:
        """Start a monitor; the container is created, not started."""
        container_id = request.pop("id", f"{next(self._ids):064x}")
        run_dir, data_dir = self.root / "run" / "c" / container_id[-8:], self.root / "data" / container_id[-8:]
        run_dir.mkdir(parents=True, exist_ok=True)
        data_dir.mkdir(exist_ok=True)
        full = {
            "id": container_id,
            "spec": self.spec(args, terminal=terminal),
            "bundle": str(run_dir),
            "terminal": terminal,
            "log": {"driver": "json-file", "path": str(data_dir / "container.log")},
            "network": {"mode": "none"},
            "data_dir": str(data_dir),
            "run_dir": str(run_dir),
            **request,
        }
        connection = self.zygote.spawn(full, listeners=listeners or [], attach=attach or [])
        container = RunningContainer(container_id, connection, run_dir, data_dir)
        connection.subscribe(container.events.append)
        self._containers.append(container)
        return container

    def run(self, args: list[str], **request: Any) -> RunningContainer:
        """Spawn and start."""
        container = self.spawn(args, **request)
        container.connection.start()
        return container

    def shell(self, script: str, **request: Any) -> RunningContainer:
        """Run a busybox shell script."""
        return self.run(["/bin/sh", "-c", script], **request)

    def reconnect(self, container: RunningContainer) -> RunningContainer:
        """What a new engine does: connect to the monitor by its socket."""
        connection = MonitorConnection.connect(str(container.run_dir), container.id, self.dispatcher)
        again = RunningContainer(container.id, connection, container.run_dir, container.data_dir)
        connection.subscribe(again.events.append)
        self._containers.append(again)
        return again

    def close(self) -> None:
        for container in self._containers:
            if not container.named("disconnected"):
                try:
                    container.connection.stop(signal.SIGKILL, 0)
                except WherryError:
                    pass  # it is over by now
                container.connection.close()
        if self.pid:
            os.kill(self.pid, signal.SIGTERM)
            os.waitpid(self.pid, 0)
        if self._zygote is not None:
            self._zygote.close()
        self.dispatcher.close()


@pytest.fixture
def machine() -> Iterator[Machine]:
    # Not pytest's directory: a unix socket path holds 107 bytes.
    with tempfile.TemporaryDirectory(prefix="wh-mon-", dir="/tmp") as root:
        made = Machine(Path(root))
        made.start_zygote()
        try:
            yield made
        finally:
            made.close()
            remove_cgroups()
            log = made.log_file.read_text(errors="replace")
            print(log)
            assert "Traceback" not in log, log


def remove_cgroups() -> None:
    """This process's cgroups, and those of containers whose monitor a test killed (an engine would sweep them)."""
    mounted = Path("/sys/fs/cgroup")
    name = f"wherry-test-{os.getpid()}"
    for top in (*mounted.glob(name), *mounted.glob(f"*/{name}")):
        if top.is_symlink() or top.parent.is_symlink():
            continue
        for child in top.iterdir():
            if child.is_dir():
                processes = child / "cgroup.procs"
                wait_until(lambda: not processes.read_text(), what="end of a container")  # noqa: B023 - called here
                child.rmdir()
        top.rmdir()


_ends: list[socket.socket] = []


@pytest.fixture(autouse=True)
def close_clients() -> Iterator[None]:
    yield
    while _ends:
        _ends.pop().close()


def client_pair() -> tuple[socket.socket, socket.socket]:
    """(the user's end, the end that goes to the monitor); both are closed after the test."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    ours.settimeout(10)
    _ends.extend((ours, theirs))
    return ours, theirs


def read_to_end(endpoint: socket.socket) -> bytes:
    data = bytearray()
    while chunk := endpoint.recv(65536):
        data += chunk
    return bytes(data)


def unframe(data: bytes) -> dict[int, bytes]:
    """stdcopy frames → bytes per stream."""
    streams: dict[int, bytes] = {}
    while data:
        size = int.from_bytes(data[4:8], "big")
        streams[data[0]] = streams.get(data[0], b"") + data[8 : 8 + size]
        data = data[8 + size :]
    return streams


def run_quiet(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=20).stdout

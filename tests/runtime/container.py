"""A container for the tests: a busybox bundle, a base config to edit, and a run that gives back what it printed."""

import copy
import os
import select
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from wherry.runtime import cgroups
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.create import Created, create_container
from wherry.runtime.exec import exec_process
from wherry.runtime.rootfs import OverlayRootfs
from wherry.runtime.start import start_container

Spec = dict[str, Any]

WHERRY_RUNTIME = os.path.join(os.path.dirname(sys.executable), "wherry-runtime")

CAPABILITIES = [
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FSETID", "CAP_FOWNER", "CAP_MKNOD", "CAP_NET_RAW", "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP", "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",
    "CAP_AUDIT_WRITE",
]  # fmt: skip

_BASE: Spec = {
    "ociVersion": "1.2.0",
    "process": {
        "user": {"uid": 0, "gid": 0},
        "args": ["true"],
        "env": ["PATH=/bin"],
        "cwd": "/",
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), CAPABILITIES),
    },
    "root": {"path": "rootfs"},
    "hostname": "box",
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
         "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
        {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
         "options": ["ro", "nosuid", "noexec", "nodev"]},
        {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
         "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    ],
    "linux": {
        "namespaces": [{"type": kind} for kind in ("mount", "network", "uts", "pid", "ipc", "cgroup")],
        "resources": {"devices": [{"allow": False, "access": "rwm"}]},
        "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list", "/sys/firmware"],
        "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
    },
}  # fmt: skip


def base_spec(*args: str) -> Spec:
    """A copy of the base config that runs ``args``."""
    spec = copy.deepcopy(_BASE)
    spec["process"]["args"] = list(args)
    return spec


def shell(script: str) -> Spec:
    """A base config that runs a shell script."""
    return base_spec("sh", "-c", script)


def make_rootfs(path: str) -> None:
    """A root file system of busybox and its applets."""
    os.makedirs(f"{path}/bin")
    shutil.copy("/bin/busybox", f"{path}/bin/busybox")
    names = subprocess.run(["/bin/busybox", "--list"], check=True, capture_output=True, text=True).stdout.split()
    for name in names:
        if name != "busybox":
            os.symlink("busybox", f"{path}/bin/{name}")
    for name, mode in (("etc", 0o755), ("root", 0o700), ("tmp", 0o1777)):
        os.mkdir(f"{path}/{name}")
        os.chmod(f"{path}/{name}", mode)
    with open(f"{path}/etc/passwd", "w", encoding="ascii") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nalice:x:1000:1000::/home/alice:/bin/sh\n")


@dataclass(slots=True)
class Result:
    """How a process ended and what it printed (both streams)."""

    status: int
    output: str
    warnings: list[str] = field(default_factory=list)

    @property
    def lines(self) -> list[str]:
        """The output's lines."""
        return self.output.splitlines()


@dataclass(slots=True)
class Running:
    """A container with its init started, or waiting."""

    spec: Spec
    created: Created
    cgroups: Cgroups
    container_id: str
    output_fd: int

    def execute(self, *args: str, **changes: Any) -> Result:
        """Run a process beside the init; ``changes`` are keys of the OCI process."""
        process = {**self.spec["process"], "args": list(args), **changes}
        reading, writing = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY)
        try:
            executed = exec_process(
                process,
                spec=self.spec,
                pid=self.created.pid,
                pidfd=self.created.pidfd,
                cgroups=self.cgroups,
                stdio=(null, writing, writing),
                container_id=self.container_id,
            )
        except BaseException:
            os.close(reading)
            raise
        finally:
            os.close(writing)
            os.close(null)
        output = read_all(reading)
        os.close(executed.pidfd)
        return Result(os.waitstatus_to_exitcode(os.waitpid(executed.pid, 0)[1]), output, executed.warnings)

    def finish(self) -> Result:
        """Read what it prints until its end, reap it."""
        output = read_all(self.output_fd)
        self.output_fd = -1
        status = os.waitstatus_to_exitcode(os.waitpid(self.created.pid, 0)[1])
        self.created.pid = 0
        return Result(status, output, self.created.warnings)

    def end(self) -> None:
        """Kill what is left and remove everything."""
        self.cgroups.kill_all()
        if self.output_fd >= 0:
            os.close(self.output_fd)
        if self.created.pid:
            os.waitpid(self.created.pid, 0)
        self.created.close()
        self.cgroups.delete()
        self.cgroups.close()


class Runner:
    """Creates containers on one bundle and removes them all at the end of the test."""

    def __init__(self, bundle: str) -> None:
        self.bundle = bundle
        self.rootfs = f"{bundle}/rootfs"
        self._running: list[Running] = []

    def create(self, spec: Spec, *, overlay: OverlayRootfs | None = None, **options: Any) -> Running:
        """A container whose init waits."""
        container_id = f"test-{uuid.uuid4().hex[:12]}"
        held = cgroups.create(
            f"/wherry-test/{container_id}", container_id=container_id, resources=spec["linux"].get("resources")
        )
        reading, writing = os.pipe()
        null = os.open("/dev/null", os.O_RDONLY)
        try:
            created = create_container(
                spec,
                bundle=self.bundle,
                container_id=container_id,
                cgroups=held,
                stdio=None if spec["process"].get("terminal") else (null, writing, writing),
                rootfs=overlay,
                **options,
            )
        except BaseException:
            os.close(reading)
            held.delete()
            held.close()
            raise
        finally:
            os.close(writing)
            os.close(null)
        running = Running(spec, created, held, container_id, reading)
        self._running.append(running)
        return running

    def start(self, spec: Spec, **options: Any) -> Running:
        """A container whose program runs."""
        running = self.create(spec, **options)
        start_container(running.created)
        return running

    def run(self, spec: Spec, **options: Any) -> Result:
        """A whole life."""
        return self.start(spec, **options).finish()

    def sh(self, script: str, change: Callable[[Spec], None] | None = None) -> Result:
        """Run a shell script in the base container, its config edited by ``change``."""
        spec = shell(script)
        if change is not None:
            change(spec)
        return self.run(spec)

    def close(self) -> None:
        """Remove what the test left."""
        for running in reversed(self._running):  # the owner of a shared pid namespace ends last
            running.end()


def read_all(fd: int, timeout_seconds: float = 20.0) -> str:
    """Read to the end and close."""
    deadline = time.monotonic() + timeout_seconds
    chunks = []
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    try:
        while poll.poll(max(0, int((deadline - time.monotonic()) * 1000))):
            try:
                chunk = os.read(fd, 65536)
            except OSError:  # EIO: the last user of a pty is gone
                break
            if not chunk:
                break
            chunks.append(chunk)
        else:
            raise TimeoutError(f"no end of output after {timeout_seconds} s: {b''.join(chunks)!r}")
    finally:
        os.close(fd)
    return b"".join(chunks).decode(errors="replace")

"""Another OCI runtime (runc, crun, youki) by its command line; its container's init becomes the monitor's child,
because the monitor is a subreaper.

The overlay is mounted on ``<bundle>/rootfs`` in a mount namespace of the monitor's own: nothing to leak on the host.
Cgroups are read and signalled directly, as for our own runtime: it is the same tree. Blocking, like every runtime.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket

from wherry import json_text
from wherry.linux.fdsocket import listen_unix, receive_with_fds
from wherry.linux.mount import MNT_DETACH, MS_REC, MS_SLAVE, mount, umount
from wherry.linux.namespaces import CLONE_NEWNS, unshare
from wherry.linux.pidfd import pidfd_open, wait_exited
from wherry.monitor.by_cgroup import ByCgroup
from wherry.monitor.container_runtime import Running
from wherry.monitor.container_spec import ContainerSpec
from wherry.monitor.diagnostics import report
from wherry.monitor.sandbox import Sandbox
from wherry.monitor.stdio import Streams
from wherry.record import TYPE_CHECKING
from wherry.runtime import cgroups as cgroups_module
from wherry.runtime.cgroup_layout import container_path
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.rootfs import mount_overlay_at

if TYPE_CHECKING:
    from typing import Any

# crun of Debian 12 refuses what claims to be newer; runtimes ignore the parts that they do not know.
_SPEC_VERSION = "1.0.2"
_TIMEOUT_SECONDS = 60.0
_CONSOLE_TIMEOUT_SECONDS = 10.0
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ForeignRuntime(ByCgroup):
    """``request["runtime"]["path"]`` is the binary's absolute path."""

    def __init__(self, request: dict[str, Any], spec: ContainerSpec) -> None:
        self._path: str = request["runtime"]["path"]
        self._id: str = request["id"]
        self._spec = spec
        self._cgroups_path = container_path(request["facts"]["cgroups_path"], self._id)
        self._bundle: str = request["bundle"]
        self._rootfs = request.get("rootfs")
        self._root = f"{request['run_dir']}/runtime"
        self._mounted = False
        self._exists = False
        self._cgroups: Cgroups | None = None
        self._execs = 0

    def create(self, streams: Streams, sandbox: Sandbox) -> Running:
        """See :class:`ContainerRuntime`."""
        try:
            sandbox.before_create()
            self._mount_rootfs()
            self._write_config(network_fd=sandbox.runtime_fd)
            self._cgroups = cgroups_module.attach(self._cgroups_path)
            self._exists = True  # a create that fails half-way may leave state behind
            # runc takes the namespace it runs in for the host's, and refuses the sysctls of that.
            with sandbox.on_host():
                running = self._run_process(["create", "--bundle", self._bundle], [self._id], streams)
            sandbox.in_container(running.pid)
            return running
        except BaseException:
            self.delete()
            raise

    def _mount_rootfs(self) -> None:
        if self._rootfs is None or self._mounted:
            return
        unshare(CLONE_NEWNS)
        mount("none", "/", "", MS_REC | MS_SLAVE)
        target = f"{self._bundle}/rootfs"
        os.makedirs(target, exist_ok=True)
        mount_overlay_at(self._rootfs, target)
        self._mounted = True

    def _write_config(self, *, network_fd: int | None) -> None:
        spec = self._spec.load()
        spec["ociVersion"] = _SPEC_VERSION
        if self._rootfs is not None:
            spec["root"] = {"path": "rootfs", "readonly": bool((spec.get("root") or {}).get("readonly"))}
        linux = dict(spec.get("linux") or {})
        if network_fd is not None:
            linux["namespaces"] = [
                {"type": "network", "path": f"/proc/{os.getpid()}/fd/{network_fd}"} if n["type"] == "network" else n
                for n in linux.get("namespaces") or []
            ]
        spec["linux"] = linux
        _write(f"{self._bundle}/config.json", json_text.dumps(spec))

    def _run_process(self, command: list[str], target: list[str], streams: Streams) -> Running:
        pid_file = f"{self._bundle}/pid-{self._execs}"
        arguments = [*command, "--pid-file", pid_file]
        if streams.child is not None:
            self._run([*arguments, *target], streams.child)
            console = None
        else:
            path = f"{self._bundle}/console.sock"
            with listen_unix(path, socket.SOCK_STREAM) as listener:
                self._run([*arguments, "--console-socket", path, *target], None)
                console = _receive_console(listener)
            os.unlink(path)
        with open(pid_file, encoding="ascii") as file:
            pid = int(file.read())
        os.unlink(pid_file)
        return Running(pid, pidfd_open(pid), console)

    def start(self) -> None:
        """See :class:`ContainerRuntime`."""
        self._run(["start", self._id], None)

    def exec(self, process: dict[str, Any], streams: Streams) -> Running:
        """See :class:`ContainerRuntime`."""
        self._live()
        self._execs += 1
        path = f"{self._bundle}/process-{self._execs}.json"
        _write(path, json_text.dumps(process))
        try:
            return self._run_process(["exec", "--detach", "--process", path], [self._id], streams)
        finally:
            os.unlink(path)

    def probe(self, args: list[str], streams: Streams) -> Running:
        """See :class:`ContainerRuntime`."""
        return self.exec({**self._spec.load()["process"], "args": args, "terminal": False}, streams)

    def delete(self) -> None:
        """See :class:`ContainerRuntime`."""
        if self._exists:
            self._exists = False
            try:
                self._run(["delete", "--force", self._id], None)
            except RuntimeFailure as exc:
                report(f"container {self._id[:12]}: {exc}")
        if self._cgroups is not None:
            self._cgroups.close()
            self._cgroups = None
        if self._mounted:
            self._mounted = False
            umount(f"{self._bundle}/rootfs", MNT_DETACH)

    def _attached(self) -> Cgroups | None:
        return self._cgroups

    def _run(self, arguments: list[str], stdio: tuple[int, int, int] | None) -> None:
        """Run the binary to its end. Raises RuntimeFailure with the last error that it logged."""
        log = f"{self._bundle}/runtime.log"
        argv = [self._path, "--root", self._root, "--log", log, "--log-format", "json", *arguments]
        with open("/dev/null", "r+b", buffering=0) as null:
            actions = [
                (os.POSIX_SPAWN_DUP2, fd, number)
                for number, fd in enumerate(stdio or (null.fileno(), null.fileno(), null.fileno()))
            ]
            try:
                pid = os.posix_spawn(
                    self._path,
                    argv,
                    {"PATH": _PATH},
                    file_actions=actions,
                    setsigdef=[signal.SIGPIPE, signal.SIGXFSZ],
                )
            except OSError as exc:
                raise RuntimeFailure(f"run {self._path}: {exc.strerror}") from exc
        pidfd = pidfd_open(pid)
        try:
            if not wait_exited(pidfd, _TIMEOUT_SECONDS):
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.waitpid(pid, 0)
                raise RuntimeFailure(f"run {self._path} {arguments[0]}: no end after {_TIMEOUT_SECONDS:.0f} s")
            _, status = os.waitpid(pid, 0)
        finally:
            os.close(pidfd)
        if status != 0:
            message = _last_error(log) or f"{os.path.basename(self._path)} {arguments[0]}: exit status {status >> 8}"
            raise RuntimeFailure(message, exit_code=_exit_code(message))


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "w", encoding="utf-8") as file:
        file.write(text)


def _last_error(log: str) -> str:
    try:
        with open(log, encoding="utf-8", errors="replace") as file:
            lines = file.read(1 << 20).splitlines()
    except FileNotFoundError:
        return ""
    for line in reversed(lines):
        try:
            record = json_text.loads(line)
        except ValueError:
            continue  # a runtime that logs plain text
        if record.get("level") in ("error", "fatal"):
            return str(record.get("msg", ""))
    return ""


def _exit_code(message: str) -> int:
    """Docker's reading of a runtime's words (moby ``daemon/start.go`` translateContainerdStartErr)."""
    lowered = message.lower()
    if "executable file not found" in lowered or "no such file or directory" in lowered:
        return 127
    if "permission denied" in lowered or "is a directory" in lowered:
        return 126
    return 125


def _receive_console(listener: socket.socket) -> int:
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    if not poll.poll(_CONSOLE_TIMEOUT_SECONDS * 1000):
        raise RuntimeFailure("receive console: the runtime did not connect to the console socket")
    connection, _ = listener.accept()
    with connection:
        _, fds = receive_with_fds(connection, 4096)
    if len(fds) != 1:
        for fd in fds:
            os.close(fd)
        raise RuntimeFailure(f"receive console: {os.strerror(errno.EPROTO)}")
    return fds[0]

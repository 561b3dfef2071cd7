"""Run a further process in a running container, in the same namespaces, cgroups and confinement as its init (S54)."""

from __future__ import annotations

import os

from wherry.linux import keyring, namespaces, process
from wherry.record import TYPE_CHECKING
from wherry.runtime import handshake
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.console import open_console, send_console, take_console
from wherry.runtime.create import abandon, set_oom_score
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.handshake import Handshake
from wherry.runtime.init import execute, forget_how_to_import, redirect_stdio
from wherry.runtime.namespaces import Child, spawn_staged
from wherry.runtime.process import ListenerSink, PreparedProcess, confine, own_stdio, prepare_process, set_home
from wherry.runtime.rlimits import check_rlimits, raise_ceilings

if TYPE_CHECKING:
    from typing import Any, NoReturn


class Executed:
    """A process in a container, a child of the calling process. The caller owns the descriptors."""

    def __init__(self, pid: int, pidfd: int, warnings: list[str]) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console_fd: int | None = None
        """The pty's master, when process.terminal and no console socket was given."""
        self.warnings = warnings


def exec_process(
    spec_process: dict[str, Any],
    *,
    spec: dict[str, Any],
    pid: int,
    pidfd: int,
    cgroups: Cgroups | None,
    stdio: tuple[int, int, int] | None = None,
    console_socket: str | None = None,
    container_id: str = "",
    new_keyring: bool = True,
    preserve_fds: int = 0,
    ignore_paused: bool = False,
) -> Executed:
    """Run an OCI ``process`` beside the container's init, which ``pid`` and ``pidfd`` name.

    ``spec`` is the container's config.json: its seccomp profile applies. Returns once the program runs (execve
    succeeded). Raises RuntimeFailure with exit_code 126 or 127 and runc's wording. The caller must have one thread.
    """
    if not ignore_paused and cgroups is not None and cgroups.is_frozen():
        raise RuntimeFailure("cannot exec in a paused container (use --ignore-paused to override)")
    kinds = _foreign_namespaces(pid)
    target = prepare_process(spec_process, spec, in_user_namespace="user" in kinds)
    check_rlimits(target.rlimits)
    flags = 0
    for kind in kinds:
        flags |= namespaces.FLAGS[kind]
    talk = Handshake()
    join_fd = cgroups.join_fd if cgroups else None

    def enter() -> None:
        if cgroups is not None and join_fd is None:
            cgroups.add_self(pid)
        forget_how_to_import()
        if not target.terminal:
            redirect_stdio(stdio)
        # Now, not inside: there CAP_SYS_PTRACE is enough to take what is open (S53).
        process.close_except([talk.child.fileno(), pidfd, *range(3, 3 + preserve_fds)])
        namespaces.setns(pidfd, flags)
        os.close(pidfd)

    def body() -> NoReturn:
        run_exec(target, talk, keyring_name=f"_ses.{container_id}" if new_keyring else None,
                 in_user_namespace="user" in kinds, preserve_fds=preserve_fds)  # fmt: skip

    try:
        child = spawn_staged(enter, 0, talk, body, cgroup_fd=join_fd)
        try:
            return _guide(target, child, talk, console_socket)
        except BaseException:
            abandon(child)
            raise
    finally:
        talk.close()


def _foreign_namespaces(pid: int) -> list[str]:
    """The kinds in which the container is not where we are: setns to one's own user namespace is an error."""
    try:
        return [kind for kind in namespaces.FLAGS if not namespaces.same_namespace(kind, pid)]
    except OSError as exc:
        raise RuntimeFailure("cannot exec in a stopped container") from exc


def run_exec(
    target: PreparedProcess,
    talk: Handshake,
    *,
    keyring_name: str | None,
    in_user_namespace: bool,
    preserve_fds: int,
) -> NoReturn:
    """The body of the clone: already in the container's namespaces and root."""
    endpoint = talk.child
    os.setsid()
    if in_user_namespace:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        process.set_dumpable(on=False)
    if keyring_name:
        keyring.join_session_keyring(keyring_name)
    os.chdir("/")
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    set_home(target, root)
    if target.terminal:
        master, peer = open_console(root, size=target.console_size, uid=target.uid, gid=None)
        take_console(peer)
        handshake.send(endpoint, handshake.CONSOLE, b"", master)
        os.close(master)
    else:
        own_stdio(target.uid)
    os.close(root)
    if target.rlimits:
        handshake.ask(endpoint, handshake.LIMITS)
    path = confine(target, _NoListener())
    handshake.send(endpoint, handshake.READY)
    handshake.wait_go(endpoint)
    execute(target, path, preserve_fds=preserve_fds)


class _NoListener(ListenerSink):
    def send_listener(self, fd: int) -> None:
        raise RuntimeFailure("exec with a seccomp profile that notifies is not supported")


def _guide(target: PreparedProcess, child: Child, talk: Handshake, console_socket: str | None) -> Executed:
    executed = Executed(child.pid, child.pidfd, target.warnings)
    talk.child.close()
    try:
        executed.warnings += raise_ceilings(child.pid, target.rlimits)
        executed.warnings += set_oom_score(child.pid, target.oom_score_adj)
        while (message := handshake.receive(talk.parent))[0] != handshake.READY:
            tag, _, fd = message
            if tag == handshake.LIMITS:
                talk.parent.send(handshake.GO)
                continue
            if tag != handshake.CONSOLE or fd is None:
                raise RuntimeFailure(f"exec: the process (pid {child.pid}) ended while it was being set up")
            executed.console_fd = fd
        if console_socket is not None and executed.console_fd is not None:
            send_console(console_socket, executed.console_fd)
            os.close(executed.console_fd)
            executed.console_fd = None
        talk.parent.send(handshake.GO)
        handshake.receive(talk.parent)  # the end of the connection: execve succeeded
    except BaseException:
        if executed.console_fd is not None:
            os.close(executed.console_fd)
        raise
    return executed

"""Create a container: everything is set up and its init waits, one execve away from the user's program.

The caller must have one thread: its child by clone3 goes on in Python. Preparing (this file) reads the host; building
and confining (``init.py``) happens in the child.
"""

from __future__ import annotations

import os

from wherry.linux import mount, mount_api, sockets
from wherry.linux.idmap import write_mappings
from wherry.linux.namespaces import open_namespace
from wherry.linux.pidfd import send_signal
from wherry.linux.process import command_line_area
from wherry.linux.sockets import Socket
from wherry.record import TYPE_CHECKING
from wherry.runtime import handshake
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.console import send_console
from wherry.runtime.device_nodes import device_nodes
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.handshake import Handshake
from wherry.runtime.hooks import container_state, hooks_of, run_hooks
from wherry.runtime.init import Setup, run_init
from wherry.runtime.mount_options import PROPAGATION
from wherry.runtime.mounts import close_mounts, prepare_mounts
from wherry.runtime.namespaces import Child, prepare_namespaces, spawn
from wherry.runtime.process import prepare_process
from wherry.runtime.rlimits import check_rlimits, raise_ceilings
from wherry.runtime.rootfs import OverlayRootfs, open_directory_root, open_overlay
from wherry.runtime.sysctls import check_sysctls

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_SIGKILL = 9


class Created:
    """A container whose init waits. The caller owns the descriptors; :meth:`close` closes those that are left.

    The init is a child of the calling process (waitpid by ``pid``).
    """

    def __init__(
        self,
        pid: int,
        pidfd: int,
        *,
        console_fd: int | None = None,
        mount_ns_fd: int = -1,
        start_socket: Socket | None = None,
        seccomp_listener_fd: int | None = None,
        warnings: list[str] | None = None,
    ) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.console_fd = console_fd
        """The pty's master, when process.terminal and no console socket was given."""
        self.mount_ns_fd = mount_ns_fd
        """Keeps the container's mounts alive: close it off the critical path."""
        self.start_socket = start_socket
        """On which the init waits, unless it waits on ``start_listener``."""
        self.seccomp_listener_fd = seccomp_listener_fd
        self.warnings = [] if warnings is None else warnings
        """What was asked for and could not be done, one line each."""

    def close(self) -> None:
        """Close every descriptor still held. Before the start this ends the waiting init."""
        for fd in (self.pidfd, self.console_fd, self.mount_ns_fd, self.seccomp_listener_fd):
            if fd is not None and fd >= 0:
                os.close(fd)
        self.pidfd = self.mount_ns_fd = -1
        self.console_fd = self.seccomp_listener_fd = None
        if self.start_socket is not None:
            self.start_socket.close()
            self.start_socket = None

    def kill(self) -> None:
        """Kill and reap the init and close everything."""
        pidfd, self.pidfd = self.pidfd, -1
        abandon(Child(self.pid, pidfd))
        self.close()


def create_container(
    spec: dict[str, Any],
    *,
    bundle: str,
    container_id: str,
    cgroups: Cgroups | None,
    stdio: tuple[int, int, int] | None = None,
    console_socket: str | None = None,
    rootfs: OverlayRootfs | None = None,
    network_namespace_fd: int | None = None,
    start_listener: Socket | None = None,
    new_keyring: bool = True,
    preserve_fds: int = 0,
    pivot: bool = True,
    reaper: bool = False,
    die_with_parent: bool = False,
    meanwhile: Callable[[], None] | None = None,
) -> Created:
    """Set the container up and return with its init waiting.

    ``spec`` is an OCI config.json; ``bundle`` an absolute directory (relative paths of the spec start there).
    ``cgroups``: made by the caller with ``cgroups.create``; the init joins them (None: it stays in the caller's).
    ``stdio`` become the process's 0, 1, 2 (None: inherit), unless ``process.terminal``. ``rootfs`` replaces the
    spec's ``root``. ``network_namespace_fd`` replaces the spec's network namespace. ``start_listener``: a listening
    unix socket; the init waits for a connection to it instead of ``Created.start_socket``, so the caller may exit.
    ``preserve_fds``: how many descriptors from 3 up the program gets; they must be inheritable.
    ``reaper``: PID 1 is a reaper and the program its child. ``die_with_parent``: it does not outlive the caller.
    ``meanwhile`` is called in this process while the init builds its root: for what the program needs and the root
    does not, such as the links of its network namespace.
    Raises RuntimeFailure or SpecInvalid; nothing is left behind then, except what the caller made.
    """
    check_supported(spec)
    plan = prepare_namespaces(spec, network_namespace_fd)
    mounts = []
    root_tree = None
    talk = Handshake()
    try:
        process = prepare_process(spec.get("process") or {}, spec, in_user_namespace=plan.in_user_namespace)
        check_rlimits(process.rlimits)
        if "mount" in plan.new:
            mounts = prepare_mounts(spec, bundle)
            root_tree = _open_root(spec, bundle, rootfs)
        setup = Setup(
            spec=spec,
            bundle=bundle,
            container_id=container_id,
            process=process,
            plan=plan,
            root_tree=root_tree,
            overlay=rootfs,
            read_only=bool((spec.get("root") or {}).get("readonly")) or (rootfs is not None and rootfs["readonly"]),
            mounts=mounts,
            devices=device_nodes(spec),
            sysctls=check_sysctls(spec, network_given=network_namespace_fd is not None),
            stdio=stdio,
            start_listener=start_listener,
            cgroups=cgroups,
            cgroup_paths=cgroups.paths() if cgroups else {},
            new_keyring=new_keyring,
            preserve_fds=preserve_fds,
            pivot=pivot,
            reaper=command_line_area() if reaper else None,
            die_with_parent=die_with_parent,
            talk=talk,
        )
        child = spawn(plan, talk, lambda: run_init(setup), cgroups)
        talk.child.close()
        try:
            created = _guide(setup, child, console_socket, meanwhile)
        except BaseException:
            abandon(child)
            raise
        if start_listener is None:
            created.start_socket = sockets.duplicate(talk.parent)
        return created
    finally:
        talk.close()
        if root_tree is not None:
            os.close(root_tree)
        close_mounts(mounts)
        plan.close()


def check_supported(spec: dict[str, Any]) -> None:
    """Refuse what this runtime does not do, before anything is made."""
    linux = spec.get("linux")
    if linux is None:
        raise SpecInvalid("config.json has no linux section: only Linux containers are supported")
    if linux.get("intelRdt"):
        raise SpecInvalid("intelRdt is not supported by this runtime",
                          hint="Remove linux.intelRdt from config.json, or use another runtime.")  # fmt: skip
    if spec.get("process") is None:
        raise SpecInvalid("config.json has no process")
    propagation = linux.get("rootfsPropagation")
    if propagation and propagation not in PROPAGATION:
        raise SpecInvalid(f"rootfsPropagation={propagation} is not supported")


def _open_root(spec: dict[str, Any], bundle: str, rootfs: OverlayRootfs | None) -> int | None:
    try:
        tree = open_overlay(rootfs) if rootfs is not None else open_directory_root(spec, bundle)
    except OSError as exc:
        if rootfs is not None and exc.errno == 22:  # EINVAL: options too long for this kernel's fsconfig
            return None
        raise RuntimeFailure(f"mount root file system: {exc.filename}: {exc.strerror}") from exc
    if "shared" not in ((spec.get("linux") or {}).get("rootfsPropagation") or ""):
        mount_api.mount_setattr(tree, propagation=mount.MS_PRIVATE, recursive=True)
    return tree


def _guide(setup: Setup, child: Child, console_socket: str | None, meanwhile: Callable[[], None] | None) -> Created:
    """The parent's side: attributes that are set from outside, and the child's requests, until it is ready."""
    created = Created(child.pid, child.pidfd, warnings=setup.process.warnings)
    try:
        created.warnings += raise_ceilings(child.pid, setup.process.rlimits)
        created.warnings += set_oom_score(child.pid, setup.process.oom_score_adj)
        if meanwhile is not None:
            meanwhile()
        while True:
            tag, _, fd = handshake.receive(setup.talk.parent)
            if tag == handshake.READY:
                break
            if tag == handshake.MAP_USERS:
                write_mappings(child.pid, setup.plan.uid_mappings, setup.plan.gid_mappings)
            elif tag == handshake.RUN_HOOKS:
                _run_runtime_hooks(setup, child.pid)
            elif tag == handshake.CONSOLE:
                created.console_fd = fd
                if console_socket is not None and fd is not None:
                    send_console(console_socket, fd)
                    os.close(fd)
                    created.console_fd = None
            elif tag == handshake.LIMITS:
                pass  # they were raised above
            elif tag == handshake.LISTENER:
                created.seccomp_listener_fd = fd
            else:
                raise RuntimeFailure(_died(child))
            if tag in (handshake.MAP_USERS, handshake.RUN_HOOKS, handshake.LIMITS):
                setup.talk.parent.send(handshake.GO)
        _deliver_listener(setup, created)
        created.mount_ns_fd = open_namespace(child.pid, "mount")
    except BaseException:
        created.pidfd = -1  # the caller still needs it
        created.close()
        raise
    return created


def _deliver_listener(setup: Setup, created: Created) -> None:
    filter_ = setup.process.seccomp
    if filter_ is None or created.seccomp_listener_fd is None or not filter_.listener_path:
        return
    state = container_state(
        setup.spec, container_id=setup.container_id, bundle=setup.bundle, pid=created.pid, status="creating"
    )
    from wherry.runtime.seccomp_listener import send_listener  # start-up cost

    send_listener(filter_.listener_path, filter_.listener_metadata, created.seccomp_listener_fd, created.pid, state)
    os.close(created.seccomp_listener_fd)
    created.seccomp_listener_fd = None


def _run_runtime_hooks(setup: Setup, pid: int) -> None:
    state = container_state(
        setup.spec, container_id=setup.container_id, bundle=setup.bundle, pid=pid, status="creating"
    )
    for kind in ("prestart", "createRuntime"):
        run_hooks(kind, hooks_of(setup.spec, kind), state)


def set_oom_score(pid: int, score: int | None) -> list[str]:
    """Set oom_score_adj from outside; a value that needs CAP_SYS_RESOURCE becomes a warning."""
    if score is None:
        return []
    try:
        fd = os.open(f"/proc/{pid}/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, str(score).encode())
        finally:
            os.close(fd)
    except PermissionError:
        return [f"oom_score_adj {score} not set: lowering it needs CAP_SYS_RESOURCE"]
    except FileNotFoundError:
        return []  # the child is gone already; its last message tells why
    return []


def _died(child: Child) -> str:
    return f"the container's init (pid {child.pid}) ended while it was being set up"


def abandon(child: Child) -> None:
    """Kill and reap a child that will not be used."""
    try:
        send_signal(child.pidfd, _SIGKILL)
    except ProcessLookupError:
        pass  # it has ended by itself
    os.waitpid(child.pid, 0)
    os.close(child.pidfd)

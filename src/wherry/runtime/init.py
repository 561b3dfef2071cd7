"""The container's first process from its clone to its execve.

It runs in the new namespaces, first on the host's root, then in the container's. What it needs from the host was
opened by the caller (:class:`Setup`); after ``pivot_root`` nothing is imported, looked up by name on the host, or
executed but the user's program and the container's own hooks (SECURITY.md fact 1).
"""

from __future__ import annotations

import os
import sys

from wherry.linux import keyring, mount, mount_api, namespaces, process, signals, sockets
from wherry.linux.filesystem import open_in_root
from wherry.linux.mount_api import AT_FDCWD
from wherry.linux.sockets import Socket
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime import handshake
from wherry.runtime.cgroup_mount import mount_cgroups
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.console import bind_console, open_console, take_console
from wherry.runtime.device_nodes import DeviceNode, make_device, make_links
from wherry.runtime.executable import exec_failure
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.handshake import Handshake
from wherry.runtime.hooks import container_state, hooks_of, run_hooks
from wherry.runtime.masks import make_read_only, mask_paths
from wherry.runtime.mount_options import PROPAGATION
from wherry.runtime.mount_target import check_outside_proc, open_target
from wherry.runtime.mounts import PreparedMount, attach_mount
from wherry.runtime.namespaces import NamespacePlan
from wherry.runtime.process import ListenerSink, PreparedProcess, confine, install_late_filter, own_stdio, set_home
from wherry.runtime.reaper import run_reaper
from wherry.runtime.rootfs import OverlayRootfs, mount_overlay_at
from wherry.runtime.sysctls import write_sysctls

if TYPE_CHECKING:
    from typing import Any, NoReturn


class Setup(NamedTuple):
    """Everything that the init needs, gathered before the clone."""

    spec: dict[str, Any]
    bundle: str
    container_id: str
    process: PreparedProcess
    plan: NamespacePlan
    root_tree: int | None  # detached; None with a joined mount namespace, or when the overlay must be mounted at once
    overlay: OverlayRootfs | None
    read_only: bool
    mounts: list[PreparedMount]
    devices: list[DeviceNode]
    sysctls: dict[str, str]
    stdio: tuple[int, int, int] | None
    start_listener: Socket | None
    cgroups: Cgroups | None
    cgroup_paths: dict[str, str]
    new_keyring: bool
    preserve_fds: int  # descriptors 3, 4, … that the program gets
    pivot: bool
    reaper: (
        tuple[int, int] | None
    )  # PID 1 is a reaper of ours and the program its child (--init): where its argv lies
    die_with_parent: bool  # SIGKILL when the caller dies (R15)
    talk: Handshake

    def descriptors(self) -> list[int]:
        """What the init keeps open beside 0, 1 and 2."""
        kept = [self.talk.child.fileno(), *self.plan.joined.values(), *range(3, 3 + self.preserve_fds)]
        kept += [item.tree_fd for item in self.mounts if item.tree_fd is not None]
        if self.root_tree is not None:
            kept.append(self.root_tree)
        if self.start_listener is not None:
            kept.append(self.start_listener.fileno())
        return kept


class _Listener(ListenerSink):
    def __init__(self, endpoint: Socket) -> None:
        self._endpoint = endpoint

    def send_listener(self, fd: int) -> None:
        handshake.send(self._endpoint, handshake.LISTENER, b"", fd)


def run_init(setup: Setup) -> NoReturn:
    """The body of the clone. Raises RuntimeFailure, SpecInvalid or OSError, which the caller reports."""
    endpoint = setup.talk.child
    if not setup.process.terminal:
        redirect_stdio(setup.stdio)
    process.close_except(setup.descriptors())
    os.setsid()
    if setup.plan.in_user_namespace:
        _become_namespace_root(setup, endpoint)
    if setup.new_keyring:
        _new_keyring(setup.container_id)
    hooks = setup.spec.get("hooks") or {}
    if "mount" in setup.plan.new:
        _build_root(setup, endpoint)
    else:
        if hooks.get("prestart") or hooks.get("createRuntime"):
            handshake.ask(endpoint, handshake.RUN_HOOKS)
        _enter_namespace_remains(setup)
        os.chdir("/")
    forget_how_to_import()
    if not setup.process.terminal:
        own_stdio(setup.process.uid)
    if setup.process.rlimits:
        handshake.ask(endpoint, handshake.LIMITS)
    path = confine(setup.process, _Listener(endpoint))
    handshake.send(endpoint, handshake.READY)
    _wait_and_execute(setup, path)


def redirect_stdio(stdio: tuple[int, int, int] | None) -> None:
    """Make the three descriptors 0, 1 and 2; None leaves the inherited ones."""
    if stdio is None:
        return
    moved = [os.dup(fd) if fd <= 2 else fd for fd in stdio]  # 0, 1 and 2 may be given in another order
    for number, fd in enumerate(moved):
        os.dup2(fd, number, inheritable=True)


def _become_namespace_root(setup: Setup, endpoint: Socket) -> None:
    if "user" in setup.plan.new:
        handshake.ask(endpoint, handshake.MAP_USERS)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    process.set_dumpable(on=False)  # the change of credentials may have switched it


def _new_keyring(container_id: str) -> None:
    try:
        keyring.join_session_keyring(f"_ses.{container_id}")
    except OSError as exc:
        raise RuntimeFailure(
            f"join session keyring: {exc.strerror}", hint="--no-new-keyring leaves the keyring out."
        ) from exc


def _build_root(setup: Setup, endpoint: Socket) -> None:
    spec = setup.spec
    linux = spec.get("linux") or {}
    propagation = linux.get("rootfsPropagation") or ""
    # Nothing that is mounted from here on reaches the host; what the host unmounts goes away here too.
    mount_api.mount_setattr(AT_FDCWD, path="/", propagation=mount.MS_SLAVE, recursive=True)
    root = _attach_root(setup)
    late_read_only = [fd for item in setup.mounts if (fd := _attach(setup, root, item)) is not None]
    if not any(item.destination == "/dev" and item.kind == "bind" for item in setup.mounts):
        for node in setup.devices:
            make_device(root, node, bind=setup.plan.in_user_namespace)
        make_links(root)
    _make_cwd(root, setup)
    if hooks_of(spec, "prestart") or hooks_of(spec, "createRuntime"):
        handshake.ask(endpoint, handshake.RUN_HOOKS)
    _run_own_hooks(setup, "createContainer", "creating")
    if setup.process.terminal:
        _open_terminal(root, setup, endpoint)
    _enter_namespace_remains(setup)
    if setup.read_only:
        mount_api.mount_setattr(root, set_attributes=mount_api.MOUNT_ATTR_RDONLY)
    for fd in late_read_only:
        mount_api.mount_setattr(fd, set_attributes=mount_api.MOUNT_ATTR_RDONLY)
    make_read_only(root, linux.get("readonlyPaths") or ())
    mask_paths(root, linux.get("maskedPaths") or ())
    set_home(setup.process, root)
    _change_root(root, pivot=setup.pivot)
    if propagation:
        flag, recursive = PROPAGATION[propagation]
        mount_api.mount_setattr(AT_FDCWD, path="/", propagation=flag, recursive=recursive)


def _enter_namespace_remains(setup: Setup) -> None:
    """What belongs to namespaces other than the mount one."""
    if "cgroup" in setup.plan.new:
        namespaces.unshare(namespaces.CLONE_NEWCGROUP)
    if setup.spec.get("hostname"):
        namespaces.sethostname(setup.spec["hostname"])
    if setup.spec.get("domainname"):
        namespaces.setdomainname(setup.spec["domainname"])
    write_sysctls(setup.sysctls)


def _attach_root(setup: Setup) -> int:
    """Attach the root on top of the host's: a place that is always there, even for the root of a user namespace."""
    if setup.root_tree is None:
        assert setup.overlay is not None
        mount_overlay_at(setup.overlay, setup.bundle)
        return os.open(setup.bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    place = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    mount_api.move_mount(setup.root_tree, place)
    os.close(place)
    return setup.root_tree


def _attach(setup: Setup, root: int, item: PreparedMount) -> int | None:
    """Attach one mount. /dev has to stay writable until its nodes are made: then its descriptor is returned."""
    if item.kind in ("cgroup", "cgroup2"):
        if setup.cgroups is None:
            return None
        target = open_target(root, item.destination, directory=True)
        check_outside_proc(root, target, source_is_proc=False)
        mount_cgroups(target, setup.cgroups.layout, setup.cgroup_paths, item.options,
                      private="cgroup" in setup.plan.new or "cgroup" in setup.plan.joined)  # fmt: skip
        os.close(target)
        return None
    late = (
        item.destination == "/dev"
        and item.tree_fd is None
        and item.options.set_attributes & mount_api.MOUNT_ATTR_RDONLY
    )
    if late:
        item.options.set_attributes &= ~mount_api.MOUNT_ATTR_RDONLY
    attach_mount(root, item)
    return open_in_root(root, item.destination, os.O_PATH) if late else None


def _make_cwd(root: int, setup: Setup) -> None:
    """A missing working directory is made, as runc does; what cannot be made shows at chdir."""
    cwd = os.fsdecode(setup.process.cwd)
    if cwd.strip("/"):
        try:
            os.close(open_target(root, cwd, directory=True))
        except OSError:
            pass  # chdir gives the error that clients know


def _open_terminal(root: int, setup: Setup, endpoint: Socket) -> None:
    target = setup.process
    master, peer = open_console(root, size=target.console_size, uid=target.uid, gid=None)
    bind_console(root, peer)
    take_console(peer)
    handshake.send(endpoint, handshake.CONSOLE, b"", master)
    os.close(master)


def _change_root(root: int, *, pivot: bool) -> None:
    if not pivot:
        os.fchdir(root)  # it is mounted on "/" already: nothing is left to be moved
        os.chroot(".")
        os.chdir("/")
        return
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    os.fchdir(root)
    mount.pivot_root(".", ".")
    os.fchdir(old)
    mount_api.mount_setattr(AT_FDCWD, path=".", propagation=mount.MS_SLAVE, recursive=True)
    mount.umount(".", mount.MNT_DETACH)
    os.close(old)
    os.chdir("/")
    os.close(root)


def _run_own_hooks(setup: Setup, kind: str, status: str) -> None:
    hooks = hooks_of(setup.spec, kind)
    if hooks:
        state = container_state(
            setup.spec, container_id=setup.container_id, bundle=setup.bundle, pid=os.getpid(), status=status
        )
        run_hooks(kind, hooks, state)


def forget_how_to_import() -> None:
    """From here on the paths of this process are the container's: no module may be looked for in them (S61)."""
    sys.meta_path.clear()
    sys.path_hooks.clear()
    sys.path.clear()


def _wait_and_execute(setup: Setup, path: bytes) -> NoReturn:
    """Wait for the start; whoever gave it learns from the end of the connection that execve succeeded."""
    endpoint = setup.talk.child
    if setup.start_listener is not None:
        endpoint.close()
        endpoint = sockets.accept(setup.start_listener)
        setup.start_listener.close()
    handshake.wait_go(endpoint)
    if setup.die_with_parent:
        _die_with_parent(endpoint)
    if setup.reaper is not None:
        run_reaper(lambda: _execute(setup, path, endpoint), lambda: _stay(setup), terminal=setup.process.terminal)
    _execute(setup, path, endpoint)


def _die_with_parent(endpoint: Socket) -> None:
    """As late as this: the process that created us may have ended (our parent is then the one that started us), and
    a change of credentials would have cleared it. A starter that died meanwhile shows as the connection's end."""
    process.set_parent_death_signal(signals.SIGKILL)
    try:
        if not endpoint.recv(1, sockets.MSG_DONTWAIT | sockets.MSG_PEEK):
            os._exit(1)
    except BlockingIOError:
        pass  # it is there and waits for our execve


def _stay(setup: Setup) -> None:
    """The reaper's side of the fork: what execve would have closed, and the filter that comes last."""
    process.close_except(())
    process.set_name("wherry-init")
    if setup.reaper is not None:  # what ps in the container shows, and no path of the host
        command = b" ".join(setup.process.args)
        process.set_command_line(setup.reaper, b"wherry-init -- " + command)
    install_late_filter(setup.process)


def _execute(setup: Setup, path: bytes, endpoint: Socket) -> NoReturn:
    try:
        _run_own_hooks(setup, "startContainer", "created")
        execute(setup.process, path, preserve_fds=setup.preserve_fds)
    except RuntimeFailure as exc:
        handshake.fail(endpoint, exc.message, exc.exit_code)
    os._exit(1)


def execute(target: PreparedProcess, path: bytes, *, preserve_fds: int = 0) -> NoReturn:
    """The last steps: the filter of a process with no_new_privs, descriptors, execve. Raises RuntimeFailure."""
    process.cloexec_from(3 + preserve_fds)
    install_late_filter(target)
    try:
        os.execve(path, target.args, target.env)
    except OSError as exc:
        raise exec_failure(path, exc) from exc

"""Which namespaces a container gets and how its first process comes to be in them.

The usual case is one clone3 with every new namespace; namespaces joined by path are entered by the child. Where the
kernel asks for more (a joined pid namespace takes children only, a new user namespace has no rights over joined
ones, time offsets must be written before anybody is inside) a short-lived stage joins and clones with CLONE_PARENT:
the container's process is a child of the caller either way.
"""

from __future__ import annotations

import os

from wherry.errors import WherryError
from wherry.linux import namespaces, process
from wherry.linux.idmap import IdMapping
from wherry.linux.process import CLONE_PARENT, clone3
from wherry.linux.sockets import Socket
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime import handshake
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.handshake import Handshake
from wherry.runtime.mounts import id_mappings

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn


class Child(NamedTuple):
    """A process just cloned; ``pidfd`` belongs to the caller."""

    pid: int
    pidfd: int


class NamespacePlan(NamedTuple):
    """Kinds are OCI names. The caller closes the descriptors in ``joined``."""

    new: set[str]
    joined: dict[str, int]
    uid_mappings: list[IdMapping]
    gid_mappings: list[IdMapping]
    time_offsets: dict[str, dict[str, int]]

    def close(self) -> None:
        """Close the joined namespaces' descriptors."""
        while self.joined:
            os.close(self.joined.popitem()[1])

    @property
    def in_user_namespace(self) -> bool:
        """Whether the container's ids are not the caller's."""
        return "user" in self.new or "user" in self.joined

    @property
    def staged(self) -> bool:
        """Whether one clone is not enough."""
        return (
            "pid" in self.joined
            or "user" in self.joined
            or "user" in self.new  # cgroups and joined namespaces are entered with the caller's rights
            or "time" in self.new
        )

    @property
    def clone_flags(self) -> int:
        """What clone3 makes anew: a cgroup namespace comes later, in the right cgroup, a time namespace sooner."""
        flags = 0
        for kind in self.new - {"cgroup", "time"}:
            flags |= namespaces.FLAGS[kind]
        return flags


def prepare_namespaces(spec: dict[str, Any], network_namespace_fd: int | None) -> NamespacePlan:
    """Open what is joined by path. ``network_namespace_fd`` stands for the spec's network namespace."""
    linux = spec.get("linux") or {}
    plan = NamespacePlan(
        new=set(),
        joined={},
        uid_mappings=id_mappings(linux.get("uidMappings")),
        gid_mappings=id_mappings(linux.get("gidMappings")),
        time_offsets=linux.get("timeOffsets") or {},
    )
    try:
        for entry in linux.get("namespaces") or ():
            kind = entry.get("type", "")
            if kind not in namespaces.FLAGS:
                raise SpecInvalid(f'unknown namespace type "{kind}"')
            if kind in plan.new or kind in plan.joined:
                raise SpecInvalid(f"malformed spec file: duplicated ns {kind!r}")
            if kind == "network" and network_namespace_fd is not None:
                plan.joined[kind] = os.dup(network_namespace_fd)
            elif entry.get("path"):
                plan.joined[kind] = _open(kind, entry["path"])
            else:
                plan.new.add(kind)
        if network_namespace_fd is not None and "network" not in plan.joined:
            plan.joined["network"] = os.dup(network_namespace_fd)
        _check(plan)
    except BaseException:
        plan.close()
        raise
    return plan


def _open(kind: str, path: str) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as exc:
        reason = os.strerror(exc.errno or 0).lower()
        raise RuntimeFailure(f"open {kind} namespace: open {path}: {reason}") from exc


def _check(plan: NamespacePlan) -> None:
    if "user" in plan.new and not (plan.uid_mappings and plan.gid_mappings):
        raise SpecInvalid("user namespaces enabled, but no uid and gid mappings found")
    if not plan.in_user_namespace and (plan.uid_mappings or plan.gid_mappings):
        raise SpecInvalid("user namespace mappings specified, but user namespace isn't enabled in the config")
    if plan.time_offsets and "time" not in plan.new:
        raise SpecInvalid("time namespace offsets specified, but no new time namespace is made")
    if "mount" not in plan.new and "mount" not in plan.joined:
        raise SpecInvalid("a container needs a mount namespace of its own")


def join(joined: dict[str, int]) -> None:
    """Enter the namespaces. One that belongs to the joined user namespace can only be entered after that."""
    later = []
    for kind in ("cgroup", "ipc", "uts", "network", "pid", "time"):
        if kind not in joined:
            continue
        try:
            namespaces.setns(joined[kind], namespaces.FLAGS[kind])
        except PermissionError:
            later.append(kind)
        except OSError as exc:
            raise RuntimeFailure(f"join {kind} namespace: {exc.strerror}") from exc
    if "user" not in joined and later:
        raise RuntimeFailure(f"join {later[0]} namespace: Operation not permitted")
    for kind in ("user", *later, "mount"):
        if kind in joined:
            try:
                namespaces.setns(joined[kind], namespaces.FLAGS[kind])
            except OSError as exc:
                raise RuntimeFailure(f"join {kind} namespace: {exc.strerror}") from exc


def spawn(plan: NamespacePlan, talk: Handshake, body: Callable[[], NoReturn], cgroups: Cgroups | None) -> Child:
    """Run ``body`` in a new child of the caller, in the plan's namespaces and in the cgroups.

    The child has closed the parent's end of ``talk``; the parent's caller closes the child's.
    """
    cgroup_fd = cgroups.join_fd if cgroups else None
    enter_cgroups = cgroups.add_self if cgroups and cgroup_fd is None else _nothing

    def prepare() -> None:
        enter_cgroups()
        join(plan.joined)
        if "time" in plan.new:
            _make_time_namespace(plan.time_offsets)

    if plan.staged:
        return spawn_staged(prepare, plan.clone_flags, talk, body, cgroup_fd=cgroup_fd)

    def joining_body() -> NoReturn:
        prepare()
        body()

    try:
        pid, pidfd = clone3(plan.clone_flags, cgroup_fd=cgroup_fd)
    except OSError as exc:
        raise RuntimeFailure(f"create namespaces {', '.join(sorted(plan.new))}: {exc.strerror}") from exc
    if pid == 0:
        _run_child(talk, joining_body)
    return Child(pid, pidfd)


def _nothing() -> None:
    pass


def spawn_staged(
    prepare: Callable[[], None],
    clone_flags: int,
    talk: Handshake,
    body: Callable[[], NoReturn],
    *,
    cgroup_fd: int | None = None,
) -> Child:
    """Run ``prepare`` in a stage of its own, which then clones the child; otherwise as :func:`spawn`."""

    def waiting_body() -> NoReturn:
        handshake.wait_go(talk.child)  # so that the stage's message is the first
        body()

    stage, stage_pidfd = clone3(0, cgroup_fd=cgroup_fd)  # which the child inherits, without a descriptor of it
    if stage == 0:

        def clone_child() -> NoReturn:
            prepare()
            pid, pidfd = clone3(clone_flags | CLONE_PARENT)
            if pid == 0:
                _run_child(talk, waiting_body)
            handshake.send(talk.child, handshake.PID, str(pid).encode(), pidfd)
            os._exit(0)

        _run_child(talk, clone_child)
    os.close(stage_pidfd)
    try:
        pid, pidfd = _receive_pid(talk.parent, stage)
    finally:
        os.waitpid(stage, 0)
    talk.parent.send(handshake.GO)
    return Child(pid, pidfd)


def _receive_pid(parent: Socket, stage: int) -> tuple[int, int]:
    tag, payload, pidfd = handshake.receive(parent)
    if tag != handshake.PID or pidfd is None:
        raise RuntimeFailure(f"create namespaces: unexpected message {tag!r} from stage {stage}")
    return int(payload), pidfd


def _run_child(talk: Handshake, body: Callable[[], NoReturn]) -> NoReturn:
    """Run ``body`` in a fresh clone; whatever it raises is reported and ends the process."""
    try:
        process.set_dumpable(on=False)  # before any namespace is joined (S53)
        process.reset_signals()
        talk.parent.close()
        body()
    except RuntimeFailure as exc:
        handshake.fail(talk.child, exc.message, exc.exit_code)
    except WherryError as exc:
        handshake.fail(talk.child, exc.message, 125)
    except OSError as exc:
        handshake.fail(talk.child, f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc.strerror), 125)
    except BaseException as exc:  # a bug: it must not unwind into the caller's frames, of which this is a copy
        handshake.fail(talk.child, f"internal error: {type(exc).__name__}: {exc}", 125)
    os._exit(1)


def _make_time_namespace(offsets: dict[str, dict[str, int]]) -> None:
    namespaces.unshare(namespaces.CLONE_NEWTIME)
    lines = "".join(
        f"{clock} {offset.get('secs') or 0} {offset.get('nanosecs') or 0}\n" for clock, offset in offsets.items()
    )
    if not lines:
        return
    try:
        fd = os.open("/proc/self/timens_offsets", os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, lines.encode())
        finally:
            os.close(fd)
    except OSError as exc:
        raise RuntimeFailure(f"write time offsets: {exc.strerror}") from exc

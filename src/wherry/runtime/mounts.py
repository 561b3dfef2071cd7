"""The mounts of config.json: sources are opened by the caller, file systems are made and attached by the init.

Bind sources become detached trees in the caller's mount namespace, with the caller's rights, and are complete
(read-only, nosuid, idmapped, private) before anything can see them. File systems that belong to the container's
namespaces (proc, sysfs, mqueue, devpts, tmpfs) are made by the init inside them.
"""

from __future__ import annotations

import errno
import os
import stat

from wherry.linux import idmap, mount, mount_api
from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_MAGICLINKS, openat2
from wherry.linux.idmap import IdMapping
from wherry.linux.mount_api import AT_FDCWD, FileSystemContext
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.mount_options import MountOptions, parse_mount_options
from wherry.runtime.mount_target import check_outside_proc, open_ordinary_directory, open_target

if TYPE_CHECKING:
    from typing import Any


class PreparedMount:
    """One entry of ``mounts``, ready for the init. ``kind`` is the file system's type, "bind", or "cgroup"."""

    def __init__(self, destination: str, kind: str, source: str, options: MountOptions) -> None:
        self.destination = destination
        self.kind = kind
        self.source = source
        self.options = options
        self.tree_fd: int | None = None  # bind: the detached tree
        self.is_directory = True
        self.is_proc = False


def prepare_mounts(spec: dict[str, Any], bundle: str) -> list[PreparedMount]:
    """Open the sources of every bind mount. The caller closes the ``tree_fd`` of each."""
    prepared: list[PreparedMount] = []
    try:
        for entry in spec.get("mounts") or ():
            prepared.append(_prepare(entry, spec, bundle))
    except BaseException:
        close_mounts(prepared)
        raise
    return prepared


def close_mounts(prepared: list[PreparedMount]) -> None:
    """Close the trees: those that were not attached vanish."""
    for item in prepared:
        if item.tree_fd is not None:
            os.close(item.tree_fd)
            item.tree_fd = None


def _prepare(entry: dict[str, Any], spec: dict[str, Any], bundle: str) -> PreparedMount:
    options = parse_mount_options(entry.get("options") or [])
    kind = entry.get("type") or ("bind" if options.bind else "none")
    destination = "/" + entry["destination"].lstrip("/")
    if kind == "bind" or options.bind:
        return _prepare_bind(entry, options, destination, spec, bundle)
    if options.idmap or entry.get("uidMappings"):
        raise SpecInvalid(f'mount {destination}: id-mapped mounts need a bind mount, not type "{kind}"')
    return PreparedMount(destination, kind, entry.get("source") or kind, options)


def _prepare_bind(
    entry: dict[str, Any], options: MountOptions, destination: str, spec: dict[str, Any], bundle: str
) -> PreparedMount:
    source = os.path.join(bundle, entry.get("source") or "")
    try:
        pinned = _pin(source, entry.get("subpath") or "")
    except OSError as exc:
        reason = os.strerror(exc.errno or 0).lower()
        raise RuntimeFailure(
            f'error mounting "{source}" to rootfs at "{destination}": stat {source}: {reason}'
        ) from exc
    try:
        is_directory = stat.S_ISDIR(os.fstat(pinned).st_mode)
        is_proc = mount.file_system_magic(pinned) == mount.PROC_MAGIC
        tree = mount_api.clone_tree(pinned, recursive=options.recursive_bind)
    except OSError as exc:
        reason = os.strerror(exc.errno or 0).lower()
        raise RuntimeFailure(f'error mounting "{source}" to rootfs at "{destination}": {reason}') from exc
    finally:
        os.close(pinned)
    try:
        _apply_attributes(tree, options)
        if options.idmap or entry.get("uidMappings") or entry.get("gidMappings"):
            _apply_idmap(tree, options, entry, spec)
    except OSError as exc:
        os.close(tree)
        raise RuntimeFailure(
            f'error mounting "{source}" to rootfs at "{destination}": {str(exc.strerror).lower()}'
        ) from exc
    except BaseException:
        os.close(tree)
        raise
    made = PreparedMount(destination, "bind", source, options)
    made.tree_fd, made.is_directory, made.is_proc = tree, is_directory, is_proc
    return made


def _pin(source: str, subpath: str) -> int:
    """An O_PATH descriptor of a bind's source, or of a path in it (``subpath`` of an entry is ours, not the
    specification's). The one look-up pins it: the containers that share a volume may turn any name in it into a link
    at any time (S38)."""
    pinned = os.open(source, os.O_PATH | os.O_CLOEXEC)
    if not subpath:
        return pinned
    try:
        return openat2(pinned, subpath, os.O_PATH, resolve=RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    finally:
        os.close(pinned)


def _apply_attributes(tree: int, options: MountOptions) -> None:
    if options.recursive_set or options.recursive_clear:
        mount_api.mount_setattr(tree, set_attributes=options.recursive_set,
                                clear_attributes=options.recursive_clear, recursive=True)  # fmt: skip
    if options.set_attributes or options.clear_attributes:
        mount_api.mount_setattr(
            tree, set_attributes=options.set_attributes, clear_attributes=options.clear_attributes
        )
    if not options.propagation:  # a clone of a shared mount is its peer: never by accident (S56)
        mount_api.mount_setattr(tree, propagation=mount.MS_PRIVATE, recursive=True)
    for propagation, recursive in options.propagation:
        mount_api.mount_setattr(tree, propagation=propagation, recursive=recursive)


def _apply_idmap(tree: int, options: MountOptions, entry: dict[str, Any], spec: dict[str, Any]) -> None:
    linux = spec.get("linux") or {}
    uids = id_mappings(entry.get("uidMappings") or linux.get("uidMappings"))
    gids = id_mappings(entry.get("gidMappings") or linux.get("gidMappings"))
    if not uids or not gids:
        raise SpecInvalid(f"mount {entry['destination']}: idmap needs uidMappings and gidMappings")
    userns = idmap.user_namespace(uids, gids)
    try:
        mount_api.mount_setattr(
            tree, set_attributes=mount_api.MOUNT_ATTR_IDMAP, userns_fd=userns, recursive=options.recursive_idmap
        )
    finally:
        os.close(userns)


def id_mappings(entries: list[dict[str, int]] | None) -> list[IdMapping]:
    """The spec's ``uidMappings``/``gidMappings``."""
    return [IdMapping(entry["containerID"], entry["hostID"], entry["size"]) for entry in entries or ()]


def attach_mount(root_fd: int, item: PreparedMount) -> None:
    """In the init: make the file system if it is one, pin the target, attach."""
    try:
        target = _open_target(root_fd, item)
        try:
            if item.tree_fd is not None:
                mount_api.move_mount(item.tree_fd, target)
                return
            tree = make_file_system(item.kind, item.source, item.options)
            try:
                if item.kind == "tmpfs":
                    _take_over(target, tree, item.options)
                mount_api.move_mount(tree, target)
            finally:
                os.close(tree)
        finally:
            os.close(target)
    except OSError as exc:
        raise RuntimeFailure(_failure_text(item, exc)) from exc


def _failure_text(item: PreparedMount, exc: OSError) -> str:
    text = f'error mounting "{item.source}" to rootfs at "{item.destination}": {str(exc.strerror).lower()}'
    if exc.errno == errno.ENOTDIR:
        text += (
            ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path"
            " exists and is the expected type"
        )
    return text


def _open_target(root_fd: int, item: PreparedMount) -> int:
    """The place, opened and found fit; the caller closes."""
    if item.kind in ("proc", "sysfs"):
        target = open_ordinary_directory(root_fd, item.destination, item.kind)
    else:
        target = open_target(root_fd, item.destination, directory=item.is_directory)
    try:
        if stat.S_ISDIR(os.fstat(target).st_mode) != item.is_directory:
            raise OSError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))  # move_mount would only say EINVAL
        check_outside_proc(root_fd, target, source_is_proc=item.kind == "proc" or item.is_proc)
    except BaseException:
        os.close(target)
        raise
    return target


def make_file_system(kind: str, source: str, options: MountOptions) -> int:
    """A new file system as a detached mount. sysfs under a foreign network namespace becomes a bind of the host's."""
    try:
        with FileSystemContext(kind) as context:
            if source:
                context.set_string("source", source)
            for parameter in options.data:
                key, equals, value = parameter.partition("=")
                if equals:
                    context.set_string(key, value)
                elif parameter != "newinstance":  # devpts: every instance is one since Linux 4.7
                    context.set_flag(key)
            context.create()
            tree = context.mount(options.set_attributes)
    except PermissionError:
        if kind != "sysfs":
            raise
        tree = mount_api.open_tree(AT_FDCWD, "/sys", mount_api.OPEN_TREE_CLONE | mount_api.AT_RECURSIVE)
        mount_api.mount_setattr(tree, set_attributes=options.set_attributes, recursive=True)
    try:
        if options.recursive_set or options.recursive_clear:
            mount_api.mount_setattr(tree, set_attributes=options.recursive_set,
                                    clear_attributes=options.recursive_clear, recursive=True)  # fmt: skip
        for propagation, recursive in options.propagation:
            mount_api.mount_setattr(tree, propagation=propagation, recursive=recursive)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _take_over(target: int, tree: int, options: MountOptions) -> None:
    """A tmpfs keeps the mode of the directory that it covers, unless one is given; tmpcopyup: its content too."""
    if not any(parameter.startswith("mode=") for parameter in options.data):
        os.chmod(f"/proc/self/fd/{tree}", stat.S_IMODE(os.fstat(target).st_mode))
    if not options.copy_up:
        return
    source = os.open(f"/proc/self/fd/{target}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _copy_directory(source, tree)
    finally:
        os.close(source)


def _copy_directory(source: int, destination: int) -> None:
    """Symlinks are copied, never followed; devices, FIFOs and sockets are left out."""
    for name in os.listdir(source):
        status = os.stat(name, dir_fd=source, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode):
            os.mkdir(name, 0o700, dir_fd=destination)
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            inner_source = os.open(name, flags, dir_fd=source)
            inner = os.open(name, flags, dir_fd=destination)
            try:
                _copy_directory(inner_source, inner)
                os.fchown(inner, status.st_uid, status.st_gid)
                os.fchmod(inner, stat.S_IMODE(status.st_mode))
            finally:
                os.close(inner)
                os.close(inner_source)
        elif stat.S_ISLNK(status.st_mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=destination)
            os.chown(name, status.st_uid, status.st_gid, dir_fd=destination, follow_symlinks=False)
        elif stat.S_ISREG(status.st_mode):
            _copy_file(name, source, destination, status)


def _copy_file(name: str, source: int, destination: int, status: os.stat_result) -> None:
    reading = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    writing = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=destination)
    try:
        while os.sendfile(writing, reading, None, 1 << 20):
            pass
        os.fchown(writing, status.st_uid, status.st_gid)
        os.fchmod(writing, stat.S_IMODE(status.st_mode))
    finally:
        os.close(writing)
        os.close(reading)

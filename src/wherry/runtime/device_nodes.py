"""The nodes and links of /dev: the default ones of the runtime specification and those of ``linux.devices``.

A node is made with mknodat from the pinned descriptor of its directory and verified on a descriptor; where mknod is
not allowed (a user namespace) the host's node is bound over an empty file.
"""

from __future__ import annotations

import errno
import os
import stat

from wherry.linux import mount_api
from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.mount_target import open_target

if TYPE_CHECKING:
    from typing import Any

_FORMATS = {"c": stat.S_IFCHR, "u": stat.S_IFCHR, "b": stat.S_IFBLK, "p": stat.S_IFIFO}
_LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
)


class DeviceNode(NamedTuple):
    """A device as the container sees it."""

    path: str
    format: int  # S_IFCHR, S_IFBLK or S_IFIFO
    number: int  # makedev(major, minor)
    mode: int = 0o666
    uid: int = 0
    gid: int = 0


DEFAULT_NODES = tuple(
    DeviceNode(f"/dev/{name}", stat.S_IFCHR, os.makedev(major, minor))
    for name, major, minor in (
        ("null", 1, 3), ("zero", 1, 5), ("full", 1, 7), ("random", 1, 8), ("urandom", 1, 9), ("tty", 5, 0),
    )
)  # fmt: skip
"""config-linux.md "Default Devices"; console and ptmx are made with the terminal and devpts."""


def device_nodes(spec: dict[str, Any]) -> list[DeviceNode]:
    """The default nodes and the spec's own; one of the spec's replaces a default at the same path."""
    nodes = {node.path: node for node in DEFAULT_NODES}
    for entry in (spec.get("linux") or {}).get("devices") or ():
        node = _parse(entry)
        nodes[node.path] = node
    return list(nodes.values())


def _parse(entry: dict[str, Any]) -> DeviceNode:
    path = "/" + entry["path"].lstrip("/")
    kind = entry.get("type", "")
    if kind not in _FORMATS:
        raise SpecInvalid(f'device {path}: unknown type "{kind}"')
    if ".." in path.split("/"):
        raise SpecInvalid(f'device {path}: ".." is not allowed')
    mode = entry.get("fileMode")
    return DeviceNode(
        path,
        _FORMATS[kind],
        os.makedev(entry.get("major", 0), entry.get("minor", 0)) if kind != "p" else 0,
        stat.S_IMODE(0o666 if mode is None else mode),
        entry.get("uid") or 0,
        entry.get("gid") or 0,
    )


def make_device(root_fd: int, node: DeviceNode, *, bind: bool) -> None:
    """Make one node. ``bind``: inside a user namespace, where mknod is not allowed."""
    parent, name = os.path.split(node.path)
    directory = open_target(root_fd, parent, directory=True)
    try:
        if bind:
            _bind_host_node(directory, name, node)
        else:
            _make_node(directory, name, node)
    except OSError as exc:
        raise RuntimeFailure(f"mknod {node.path}: {exc.strerror}") from exc
    finally:
        os.close(directory)


def _make_node(directory: int, name: str, node: DeviceNode) -> None:
    try:
        os.mknod(name, node.format | node.mode, node.number, dir_fd=directory)
    except FileExistsError:
        os.close(_open_node(directory, name, node))  # an image may bring the right node, nothing else (S39)
        return
    made = _open_node(directory, name, node)
    path = f"/proc/self/fd/{made}"
    os.chown(path, node.uid, node.gid)
    os.chmod(path, node.mode)  # mknod went through the umask
    os.close(made)


def _open_node(directory: int, name: str, node: DeviceNode) -> int:
    """An O_PATH descriptor of the node, after a look that it is the one asked for and not a link."""
    fd = openat2(directory, name, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    status = os.fstat(fd)
    if stat.S_IFMT(status.st_mode) != node.format or (node.number and status.st_rdev != node.number):
        os.close(fd)
        raise OSError(errno.EEXIST, "something else is there")
    return fd


def _bind_host_node(directory: int, name: str, node: DeviceNode) -> None:
    if node.format == stat.S_IFIFO:
        os.mkfifo(name, node.mode, dir_fd=directory)
        return
    host = os.open(node.path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(host)
        if stat.S_IFMT(status.st_mode) != node.format or status.st_rdev != node.number:
            raise OSError(errno.ENODEV, "the host's node is a different device")
        tree = mount_api.clone_tree(host, recursive=False)
    finally:
        os.close(host)
    try:
        flags = os.O_CREAT | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        os.close(os.open(name, flags, 0o644, dir_fd=directory))
        target = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        mount_api.move_mount(tree, target)
        os.close(target)
    finally:
        os.close(tree)


def make_links(root_fd: int) -> None:
    """/dev/fd, stdin, stdout, stderr, ptmx, and core where the kernel has /proc/kcore."""
    directory = open_target(root_fd, "/dev", directory=True)
    try:
        links = [*_LINKS, ("pts/ptmx", "ptmx")]
        if os.path.exists("/proc/kcore"):
            links.append(("/proc/kcore", "core"))
        for target, name in links:
            try:
                os.symlink(target, name, dir_fd=directory)
            except FileExistsError:
                if name == "ptmx":  # an image's ptmx node would be the host's multiplexer: the link replaces it
                    os.unlink(name, dir_fd=directory)
                    os.symlink(target, name, dir_fd=directory)
    finally:
        os.close(directory)


def null_device() -> int:
    """A detached read-only mount of the host's /dev/null, verified: what masked files show (S39)."""
    fd = os.open("/dev/null", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        status = os.fstat(fd)
        if not stat.S_ISCHR(status.st_mode) or status.st_rdev != os.makedev(1, 3):
            raise RuntimeFailure("open /dev/null: not the null device (char 1:3)")
        tree = mount_api.clone_tree(fd, recursive=False)
    finally:
        os.close(fd)
    attributes = mount_api.MOUNT_ATTR_RDONLY | mount_api.MOUNT_ATTR_NOSUID | mount_api.MOUNT_ATTR_NOEXEC
    mount_api.mount_setattr(tree, set_attributes=attributes)
    return tree

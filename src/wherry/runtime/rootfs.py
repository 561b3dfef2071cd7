"""The container's root file system: an overlay made by the runtime, or a directory of the bundle.

Both come as a detached tree, made with the rights and in the mount namespace of the caller; the init attaches it
inside its private namespace. So nothing is ever mounted on the host, and a user namespace needs no rights to it.
"""

from __future__ import annotations

import errno
import os

from wherry.linux import mount, mount_api
from wherry.linux.mount_api import AT_FDCWD, FileSystemContext
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure, SpecInvalid

if TYPE_CHECKING:
    from typing import Any, TypedDict

# S28: a layer's xattrs do not lead elsewhere. The same as in snapshots/overlay_mount.py: both mount the same layers.
_OVERLAY_SAFE = ("redirect_dir=nofollow", "metacopy=off", "index=off")


if TYPE_CHECKING:

    class OverlayRootfs(TypedDict):
        """An overlay that exists only in the container's private mount namespace."""

        lower: list[str]  # absolute directories, top first
        upper: str
        work: str
        volatile: bool  # no sync at umount: for containers that are removed when they end
        readonly: bool
else:
    OverlayRootfs = dict


def open_overlay(rootfs: OverlayRootfs) -> int:
    """A detached overlay (descriptor of its root).

    A read-only one with an upper layer is writable for now: the init makes the missing mount points in it and
    only then takes the right to write away.
    """
    attributes = mount_api.MOUNT_ATTR_RDONLY if rootfs["readonly"] and not rootfs["upper"] else 0
    with FileSystemContext("overlay") as context:
        context.set_string("source", "overlay")
        _set_lower(context, rootfs["lower"])
        if rootfs["upper"]:
            context.set_string("upperdir", rootfs["upper"])
            context.set_string("workdir", rootfs["work"])
            if rootfs["volatile"]:
                context.set_flag("volatile")
        for option in _OVERLAY_SAFE:
            key, _, value = option.partition("=")
            context.set_string(key, value)
        context.create()
        return context.mount(attributes)


def _set_lower(context: FileSystemContext, lower: list[str]) -> None:
    try:
        for directory in lower:
            context.set_string("lowerdir+", directory)  # Linux 6.8; no limit on the total length, no escaping
    except OSError as exc:
        if exc.errno != errno.EINVAL:
            raise
        context.set_string("lowerdir", ":".join(_escape(directory) for directory in lower))


def mount_overlay_at(rootfs: OverlayRootfs, target: str) -> None:
    """The same by mount(2), attached at once: for kernels whose overlay takes no fsconfig strings (before 6.5)."""
    options = ["lowerdir=" + ":".join(_escape(directory) for directory in rootfs["lower"]), *_OVERLAY_SAFE]
    if rootfs["upper"]:
        options += [f"upperdir={_escape(rootfs['upper'])}", f"workdir={_escape(rootfs['work'])}"]
        if rootfs["volatile"]:
            options.append("volatile")
    data = ",".join(options)
    if len(data) >= 4096:
        raise RuntimeFailure(f"mount overlay: {len(rootfs['lower'])} layers do not fit into one page of options",
                             hint="Linux 6.8 or newer has no such limit.")  # fmt: skip
    flags = mount.MS_RDONLY if rootfs["readonly"] and not rootfs["upper"] else 0
    mount.mount("overlay", target, "overlay", flags, data)


def _escape(path: str) -> str:
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def open_directory_root(spec: dict[str, Any], bundle: str) -> int:
    """A detached recursive clone of the spec's ``root.path``."""
    root = spec.get("root") or {}
    path = os.path.join(bundle, root.get("path") or "rootfs")
    try:
        return mount_api.open_tree(AT_FDCWD, path, mount_api.OPEN_TREE_CLONE | mount_api.AT_RECURSIVE)
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise SpecInvalid(f"invalid rootfs: stat {path}: {os.strerror(exc.errno or 0).lower()}") from exc

"""How a layer says "deleted below": in a tar by names (OCI image spec, "Whiteouts"), on disk as overlayfs wants it.

On disk a whiteout is a character device 0:0, and a directory that hides everything below it carries the attribute
``trusted.overlay.opaque=y`` (kernel Documentation/filesystems/overlayfs.rst).
"""

import os
import stat

from wherry.linux import xattr

PREFIX = b".wh."
OPAQUE_NAME = b".wh..wh..opq"
RESERVED_PREFIX = b".wh..wh."  # aufs' own records (.plnk, .aufs, .orph): no part of the file system

OPAQUE_ATTRIBUTE = b"trusted.overlay.opaque"
# What overlayfs writes for itself. In a layer they would steer the mount (S28), in a diff they are noise.
OVERLAY_ATTRIBUTES = (b"trusted.overlay.", b"user.overlay.")


def is_whiteout(status: os.stat_result) -> bool:
    """Whether an entry of an overlay's directory hides the one below."""
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def make_whiteout(dir_fd: int, name: bytes) -> None:
    """Hide ``name`` of the layers below. FileExistsError when this layer has the name."""
    os.mknod(name, stat.S_IFCHR, os.makedev(0, 0), dir_fd=dir_fd)


def is_opaque(dir_fd: int, name: bytes) -> bool:
    """Whether the directory ``name`` hides what the layers below have in it."""
    return xattr.get_at(dir_fd, name, OPAQUE_ATTRIBUTE) == b"y"


def make_opaque(dir_fd: int, name: bytes) -> None:
    """Hide what the layers below have in the directory ``name``."""
    xattr.set_at(dir_fd, name, OPAQUE_ATTRIBUTE, b"y")

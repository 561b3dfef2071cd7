"""Extended attributes of a name in a pinned directory, never through a symlink at the end (xattr(7)).

``os.setxattr`` and its kin take a path or an open descriptor; a symlink or a device in a layer must be neither
followed nor opened, so the path goes through /proc/self/fd/<directory>/<one component>.
"""

import errno
import os

_ABSENT = (errno.ENODATA, errno.EOPNOTSUPP)


def _path(dir_fd: int, name: bytes) -> bytes:
    return b"/proc/self/fd/%d/%s" % (dir_fd, name)


def set_at(dir_fd: int, name: bytes, attribute: bytes, value: bytes) -> None:
    """lsetxattr(2) of ``name`` (one component) in ``dir_fd``, which may be an O_PATH descriptor."""
    os.setxattr(_path(dir_fd, name), attribute, value, follow_symlinks=False)


def get_at(dir_fd: int, name: bytes, attribute: bytes) -> bytes | None:
    """lgetxattr(2); None when the attribute is not there or the file system has none."""
    try:
        return os.getxattr(_path(dir_fd, name), attribute, follow_symlinks=False)
    except OSError as exc:
        if exc.errno in _ABSENT:
            return None
        raise


def list_at(dir_fd: int, name: bytes) -> list[bytes]:
    """llistxattr(2), sorted; empty when the file system has none."""
    try:
        names = os.listxattr(_path(dir_fd, name), follow_symlinks=False)
    except OSError as exc:
        if exc.errno in _ABSENT:
            return []
        raise
    return sorted(os.fsencode(attribute) for attribute in names)

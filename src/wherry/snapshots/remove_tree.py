"""Remove a directory tree of unknown, possibly hostile shape: any depth, without following a link or recursing.

A deep directory is first moved up to the top, so that neither descriptors nor the stack grow with the depth.
"""

import os
import stat

from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_RESOLVE = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
_MAX_DEPTH = 32


def remove_tree(dir_fd: int, name: bytes) -> None:
    """Remove ``name`` in ``dir_fd``, a file or a whole tree; nothing there is fine.

    Raises OSError, EXDEV for a mount in the tree, whose contents are not touched; what could not be removed stays.
    """
    try:
        status = os.lstat(name, dir_fd=dir_fd)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        os.unlink(name, dir_fd=dir_fd)
        return
    top = openat2(dir_fd, name, _DIRECTORY, resolve=_RESOLVE)
    try:
        moved = _Lifted()
        _empty(top, top, 0, moved)
        while moved.names:
            lifted = moved.names.pop()
            child = openat2(top, lifted, _DIRECTORY, resolve=_RESOLVE)
            try:
                _empty(child, top, 1, moved)
            finally:
                os.close(child)
            os.rmdir(lifted, dir_fd=top)
    finally:
        os.close(top)
    os.rmdir(name, dir_fd=dir_fd)


class _Lifted:
    """Fresh names for the directories moved to the top, and which of them are still there."""

    def __init__(self) -> None:
        self.names: list[bytes] = []
        self._next = 0

    def lift(self, dir_fd: int, name: bytes, top: int) -> None:
        while True:
            self._next += 1
            fresh = b".lifted-%d" % self._next
            try:
                os.lstat(fresh, dir_fd=top)
            except FileNotFoundError:
                break
        os.rename(name, fresh, src_dir_fd=dir_fd, dst_dir_fd=top)
        self.names.append(fresh)


def _empty(fd: int, top: int, depth: int, moved: _Lifted) -> None:
    """Remove everything in the directory ``fd``. Recursion is bounded by _MAX_DEPTH."""
    with os.scandir(fd) as entries:
        listing = [(os.fsencode(entry.name), entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in listing:
        if not is_directory:
            os.unlink(name, dir_fd=fd)
        elif depth >= _MAX_DEPTH:
            moved.lift(fd, name, top)
        else:
            child = openat2(fd, name, _DIRECTORY, resolve=_RESOLVE)
            try:
                _empty(child, top, depth + 1, moved)
            finally:
                os.close(child)
            os.rmdir(name, dir_fd=fd)

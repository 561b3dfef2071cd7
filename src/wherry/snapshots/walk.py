"""Walk a tree of unknown, possibly hostile and changing shape: sorted, iterative, with two descriptors at any depth.

Nothing is followed and nothing but directories is opened. On the way back up ``..`` must be the directory that was
left, so a directory that a running container moves away ends the walk instead of misleading it.
"""

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass

# PATH_MAX: deeper trees can be made (by relative paths), but no tar reader would take them; the time and the answers
# of a walk would grow with the square of the depth.
MAX_PATH_BYTES = 4096

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(slots=True)
class Node:
    """One file. ``path`` is relative to the root, ``name`` its last component in the open directory ``dir_fd``.

    ``dir_fd`` is valid until the walk goes on.
    """

    path: bytes
    name: bytes
    dir_fd: int
    status: os.stat_result


@dataclass(slots=True)
class _Frame:
    path_bytes: int  # how much of the present path leads here: whole paths of every level would add up to gigabytes
    names: list[bytes]  # still to visit, last first
    identity: tuple[int, int]


def walk(root_fd: int, *, skip_deep: bool = False) -> Iterator[Node]:
    """Everything below ``root_fd`` (without itself): a directory before its contents, names in byte order.

    What vanishes meanwhile is passed over. Raises OSError; EAGAIN when a directory was moved under the walk,
    ENAMETOOLONG for a path over MAX_PATH_BYTES, unless ``skip_deep``: then it and what is below is left out.
    """
    fd = os.open(".", _DIRECTORY, dir_fd=root_fd)
    try:
        here = b""
        frames = [_frame(fd, here)]
        while frames:
            frame = frames[-1]
            if not frame.names:
                frames.pop()
                if frames:
                    up = os.open("..", _DIRECTORY, dir_fd=fd)
                    os.close(fd)
                    fd = up
                    if _identity(os.fstat(fd)) != frames[-1].identity:
                        raise OSError(errno.EAGAIN, "a directory was moved while it was read", here)
                    here = here[: frames[-1].path_bytes]
                continue
            name = frame.names.pop()
            path = b"%s/%s" % (here, name) if here else name
            if len(path) > MAX_PATH_BYTES:
                if skip_deep:
                    continue
                raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG), path[:64] + b"...")
            try:
                status = os.lstat(name, dir_fd=fd)
            except FileNotFoundError:
                continue
            yield Node(path, name, fd, status)
            if stat.S_ISDIR(status.st_mode):
                try:
                    child = os.open(name, _DIRECTORY, dir_fd=fd)
                except OSError as exc:
                    if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                        continue  # removed or replaced since
                    raise
                os.close(fd)
                fd = child
                here = path
                frames.append(_frame(fd, here))
    finally:
        os.close(fd)


def _frame(fd: int, path: bytes) -> _Frame:
    names = [os.fsencode(name) for name in os.listdir(fd)]
    names.sort(reverse=True)
    return _Frame(len(path), names, _identity(os.fstat(fd)))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino

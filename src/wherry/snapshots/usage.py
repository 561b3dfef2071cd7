"""How much one layer's directory takes."""

import errno
import stat
from collections.abc import Iterator

from wherry.snapshots.snapshotter import Usage
from wherry.snapshots.walk import Node, walk


def measure(root_fd: int) -> Usage:
    """Walk the tree below ``root_fd``; the root itself is not counted.

    A container that moves its directories about meanwhile, or nests them beyond reason, is counted in part.
    """
    size = disk = inodes = 0
    linked: set[int] = set()
    for node in _until_moved(root_fd):
        status = node.status
        if stat.S_ISDIR(status.st_mode):
            inodes += 1
            disk += status.st_blocks * 512
            continue
        if status.st_nlink > 1:
            if status.st_ino in linked:
                continue
            linked.add(status.st_ino)
        inodes += 1
        size += status.st_size
        disk += status.st_blocks * 512
    return Usage(size, disk, inodes)


def _until_moved(root_fd: int) -> Iterator[Node]:
    try:
        yield from walk(root_fd, skip_deep=True)
    except OSError as exc:
        if exc.errno != errno.EAGAIN:
            raise

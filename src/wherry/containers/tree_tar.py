"""A file or a tree as a tar stream, read by descriptors: for ``docker cp`` out of a container."""

import errno
import os
import stat
from collections.abc import Callable
from typing import Any, BinaryIO, cast

from wherry.linux.mount import file_system_magic
from wherry.snapshots.tar_reader import HARDLINK, Entry
from wherry.snapshots.tar_writer import TarWriter
from wherry.snapshots.walk import walk

# O_NONBLOCK and the check behind it: a FIFO that took the file's place must not stop the engine (S27).
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class _Out:
    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self.write = write


def write_tree(
    parent_fd: int,
    name: str,
    arcname: bytes,
    write: Callable[[bytes], Any],
    *,
    one_file_system: bool = False,
) -> None:
    """Write ``name`` of the directory as member ``arcname`` ("" for the root), with what is below it.

    ``one_file_system``: of what is mounted inside only the empty mount point is written.
    """
    writer = TarWriter(cast(BinaryIO, _Out(write)))
    found = os.stat(name, dir_fd=parent_fd, follow_symlinks=False)
    links: dict[tuple[int, int], bytes] = {}
    # Not st_dev: an overlay shows its files under several device numbers.
    magic = file_system_magic(parent_fd) if one_file_system else None
    _add(writer, parent_fd, os.fsencode(name), arcname, found, links)
    if stat.S_ISDIR(found.st_mode):
        directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
        try:
            for node in walk(directory):
                if magic is not None and file_system_magic(node.dir_fd) != magic:
                    continue  # inside a mount
                path = b"%s/%s" % (arcname, node.path) if arcname else node.path
                _add(writer, node.dir_fd, node.name, path, node.status, links, magic)
        finally:
            os.close(directory)
    writer.finish()


def _add(
    writer: TarWriter,
    dir_fd: int,
    name: bytes,
    path: bytes,
    found: os.stat_result,
    links: dict[tuple[int, int], bytes],
    magic: int | None = None,
) -> None:
    kind = stat.S_IFMT(found.st_mode)
    if kind == stat.S_IFSOCK:
        return  # tar cannot hold it
    identity = (found.st_dev, found.st_ino)
    if kind != stat.S_IFDIR and found.st_nlink > 1 and identity in links:
        writer.add(_entry(path, HARDLINK, found, link=links[identity]))
        return
    if kind == stat.S_IFREG:
        fd = _open_regular(dir_fd, name)
        if fd < 0:
            return
        try:
            entry = _entry(path, kind, os.fstat(fd))
            if magic is not None and file_system_magic(fd) != magic:
                entry.size = 0  # a mounted file, such as /etc/hosts
            writer.add(entry, fd)
        finally:
            os.close(fd)
    elif kind == stat.S_IFLNK:
        writer.add(_entry(path, kind, found, link=os.fsencode(os.readlink(name, dir_fd=dir_fd))))
    else:
        writer.add(_entry(path, kind, found))
    if found.st_nlink > 1 and kind != stat.S_IFDIR:
        links[identity] = path


def _open_regular(dir_fd: int, name: bytes) -> int:
    try:
        fd = os.open(name, _READ, dir_fd=dir_fd)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
            return -1  # removed or replaced since it was listed
        raise
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return -1
    return fd


def _entry(path: bytes, kind: int, found: os.stat_result, *, link: bytes = b"") -> Entry:
    return Entry(
        path=path,
        file_type=kind,
        mode=stat.S_IMODE(found.st_mode),
        uid=found.st_uid,
        gid=found.st_gid,
        size=found.st_size if kind == stat.S_IFREG else 0,
        mtime_ns=found.st_mtime_ns,
        link=link,
        device=(os.major(found.st_rdev), os.minor(found.st_rdev)),
        xattrs={},
        sparse=None,
        offset=0,
    )

"""Fill a new, empty volume with what the image has at the mount point, as Docker does.

Both sides are walked by descriptors: no path is looked up twice, no link is followed (S17, S71).
"""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.linux.filesystem import open_in_root

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK = 1 << 24
# Two descriptors and two frames of the stack a level.
_MAX_DEPTH = 256


def copy_up(root_fd: int, path: str, volume_fd: int) -> bool:
    """Copy the directory ``path`` inside the root into the volume's directory; False when there is nothing to copy.

    Links in ``path`` are resolved inside the root. The volume's directory takes the source's owner and mode.
    """
    try:
        source = open_in_root(root_fd, path, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return False
        raise
    try:
        _TreeCopy(volume_fd).directory(source, volume_fd, "", 0)
    finally:
        os.close(source)
    return True


@contextmanager
def open_directory(path: str) -> Iterator[int]:
    """A directory's descriptor for the block."""
    fd = os.open(path, _DIRECTORY)
    try:
        yield fd
    finally:
        os.close(fd)


def is_empty(directory_fd: int) -> bool:
    """Whether a directory has no entry."""
    with os.scandir(directory_fd) as entries:
        return next(entries, None) is None


class _TreeCopy:
    """One copy. ``links`` maps an inode of the source to its first name in the target, which nobody else uses yet."""

    def __init__(self, target_root: int) -> None:
        self._target_root = target_root
        self._links: dict[tuple[int, int], str] = {}

    def directory(self, source: int, target: int, path: str, depth: int) -> None:
        if depth > _MAX_DEPTH:
            raise OSError(errno.ELOOP, "directories nested too deeply", path)
        with os.scandir(source) as entries:
            names = sorted(entry.name for entry in entries)
        for name in names:
            self._entry(source, target, name, f"{path}{name}", depth)
        _copy_attributes(source, target, os.fstat(source))

    def _entry(self, source: int, target: int, name: str, path: str, depth: int) -> None:
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        kind = stat.S_IFMT(found.st_mode)
        if kind == stat.S_IFDIR:
            os.mkdir(name, 0o700, dir_fd=target)
            inner_source = os.open(name, _DIRECTORY, dir_fd=source)
            try:
                inner_target = os.open(name, _DIRECTORY, dir_fd=target)
                try:
                    self.directory(inner_source, inner_target, f"{path}/", depth + 1)
                finally:
                    os.close(inner_target)
            finally:
                os.close(inner_source)
            return
        if found.st_nlink > 1:
            first = self._links.setdefault((found.st_dev, found.st_ino), path)
            if first != path:
                os.link(first, name, src_dir_fd=self._target_root, dst_dir_fd=target, follow_symlinks=False)
                return
        if kind == stat.S_IFREG:
            _copy_file(source, target, name)
        elif kind == stat.S_IFLNK:
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
            os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)
            os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=target, follow_symlinks=False)
        else:
            os.mknod(name, kind | stat.S_IMODE(found.st_mode), found.st_rdev, dir_fd=target)
            os.chown(name, found.st_uid, found.st_gid, dir_fd=target, follow_symlinks=False)


def _copy_file(source: int, target: int, name: str) -> None:
    # O_NONBLOCK: a FIFO swapped in since the stat must not stop the engine (S27).
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=source)
    try:
        found = os.fstat(reader)
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "not a regular file", name)
        writer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
        try:
            offset = 0
            while copied := os.sendfile(writer, reader, offset, _CHUNK):
                offset += copied
            _copy_attributes(reader, writer, found)
        finally:
            os.close(writer)
    finally:
        os.close(reader)


def _copy_attributes(source: int, target: int, found: os.stat_result) -> None:
    os.fchown(target, found.st_uid, found.st_gid)
    os.fchmod(target, stat.S_IMODE(found.st_mode))
    for name in os.listxattr(source):
        if name.startswith(("trusted.", "user.overlay.")):
            continue  # the overlay's own, no part of the content (S28)
        try:
            os.setxattr(target, name, os.getxattr(source, name))
        except OSError as exc:
            if exc.errno not in (errno.ENOTSUP, errno.EPERM):
                raise
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))

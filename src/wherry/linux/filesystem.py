"""Path resolution that cannot leave a root (openat2), atomic rename, file locks.

The path rule of SECURITY.md: ``open_in_root`` → O_PATH → check with fstat → reopen through /proc/self/fd.
"""

import ctypes
import errno
import fcntl
import os
import stat

from wherry.linux.libc import SYS_OPENAT2, check, libc, syscall

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10

RENAME_NOREPLACE = 1
RENAME_EXCHANGE = 2
RENAME_WHITEOUT = 4

_EAGAIN_RETRIES = 128

_renameat2 = libc.renameat2
_renameat2.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint]
_renameat2.restype = ctypes.c_int
_syncfs = libc.syncfs
_syncfs.argtypes = [ctypes.c_int]
_syncfs.restype = ctypes.c_int


class _OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


def openat2(dir_fd: int, path: str | bytes, flags: int, mode: int = 0, *, resolve: int) -> int:
    """openat2(2); O_CLOEXEC is always added. EAGAIN (a racing rename under a scoped look-up) is retried."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    encoded = os.fsencode(path)
    for _ in range(_EAGAIN_RETRIES):
        result = syscall(SYS_OPENAT2, dir_fd, encoded, ctypes.byref(how), ctypes.sizeof(how))
        if result >= 0 or ctypes.get_errno() != errno.EAGAIN:
            break
    return check(result, path)


def open_in_root(root_fd: int, path: str | bytes, flags: int, mode: int = 0) -> int:
    """Open ``path`` as a process chrooted at ``root_fd`` would, without following magic links.

    An absolute path and ``..`` stay inside. Raises OSError; ELOOP for a magic link.
    """
    return openat2(dir_fd=root_fd, path=path, flags=flags, mode=mode, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS)


def reopen(path_fd: int, flags: int) -> int:
    """Open again what an O_PATH descriptor pins, with other flags, through /proc/self/fd."""
    return os.open(f"/proc/self/fd/{path_fd}", flags | os.O_CLOEXEC)


def open_regular_in_root(root_fd: int, path: str | bytes) -> int:
    """Open a regular file inside a root for reading; a FIFO or device is refused without opening it (S27)."""
    pinned = open_in_root(root_fd, path, os.O_PATH)
    try:
        if not stat.S_ISREG(os.fstat(pinned).st_mode):
            raise OSError(errno.EINVAL, "not a regular file", path)
        return reopen(pinned, os.O_RDONLY)
    finally:
        os.close(pinned)


def renameat2(old_dir: int, old: str | bytes, new_dir: int, new: str | bytes, flags: int) -> None:
    """renameat2(2): RENAME_NOREPLACE, RENAME_EXCHANGE or RENAME_WHITEOUT."""
    check(_renameat2(old_dir, os.fsencode(old), new_dir, os.fsencode(new), flags), old, new)


def syncfs(fd: int) -> None:
    """syncfs(2): flush the whole file system that ``fd`` is on."""
    check(_syncfs(fd))


def sync_directory(path: str) -> None:
    """fsync a directory, so that the names in it survive a power cut."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def lock_exclusive(fd: int, *, blocking: bool = True) -> None:
    """flock(2) LOCK_EX; BlockingIOError when taken and not ``blocking``. Released by closing the descriptor."""
    fcntl.flock(fd, fcntl.LOCK_EX | (0 if blocking else fcntl.LOCK_NB))

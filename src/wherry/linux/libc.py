"""The one libc handle and the way to call it. ``linux/`` is the only user of ctypes and fcntl.

Every wrapper in this package declares its argument types, is 3-5 lines long, raises
``OSError(errno, strerror, path)`` and adds no policy.
"""

import ctypes
import os

libc = ctypes.CDLL(None, use_errno=True)

MACHINE = os.uname().machine

_syscall = libc.syscall
_syscall.restype = ctypes.c_long

# System call numbers that glibc has no function for. From 424 on the numbers are the same on every
# architecture (asm-generic/unistd.h); only older ones differ.
SYS_OPEN_TREE = 428
SYS_MOVE_MOUNT = 429
SYS_FSOPEN = 430
SYS_FSCONFIG = 431
SYS_FSMOUNT = 432
SYS_FSPICK = 433
SYS_PIDFD_OPEN = 434
SYS_CLONE3 = 435
SYS_CLOSE_RANGE = 436
SYS_OPENAT2 = 437
SYS_MOUNT_SETATTR = 442


def check(result: int, *where: str | bytes | int | None) -> int:
    """Return ``result``, or raise OSError from errno when it is negative.

    ``where`` is up to two paths (``filename`` and ``filename2`` of the OSError).
    """
    if result < 0:
        raise_errno(*where)
    return result


def raise_errno(*where: str | bytes | int | None) -> None:
    """Raise OSError for the calling thread's ctypes errno."""
    number = ctypes.get_errno()
    if len(where) == 2:
        raise OSError(number, os.strerror(number), where[0], None, where[1])
    if where:
        raise OSError(number, os.strerror(number), where[0])
    raise OSError(number, os.strerror(number))


def syscall(number: int, *args: object) -> int:
    """syscall(2). Arguments are ctypes objects, ints (passed as long), bytes or None; returns the raw result.

    The caller checks: ``check(syscall(...), path)``.
    """
    converted = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    return int(_syscall(ctypes.c_long(number), *converted))

"""inotify(7): wake up when a file or directory changes."""

import ctypes
import os
import struct
from collections.abc import Iterator

from wherry.linux.libc import check, libc

IN_MODIFY = 0x2
IN_MOVED_FROM = 0x40
IN_MOVED_TO = 0x80
IN_CREATE = 0x100
IN_DELETE = 0x200
IN_DELETE_SELF = 0x400
IN_NONBLOCK = os.O_NONBLOCK
IN_CLOEXEC = os.O_CLOEXEC

_init1 = libc.inotify_init1
_init1.argtypes = [ctypes.c_int]
_init1.restype = ctypes.c_int
_add_watch = libc.inotify_add_watch
_add_watch.argtypes = [ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32]
_add_watch.restype = ctypes.c_int

_EVENT = struct.Struct("iIII")


def inotify_init() -> int:
    """A non-blocking, CLOEXEC inotify descriptor."""
    return check(_init1(IN_NONBLOCK | IN_CLOEXEC))


def add_watch(fd: int, path: str, mask: int) -> int:
    """inotify_add_watch(2); returns the watch descriptor."""
    return check(_add_watch(fd, os.fsencode(path), mask), path)


def read_events(fd: int) -> Iterator[tuple[int, int, bytes]]:
    """Everything that is queued, as (watch descriptor, mask, name); nothing when the queue is empty."""
    try:
        data = os.read(fd, 64 << 10)
    except BlockingIOError:
        return
    offset = 0
    while offset < len(data):
        watch, mask, _cookie, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size
        yield watch, mask, data[offset : offset + length].rstrip(b"\0")
        offset += length

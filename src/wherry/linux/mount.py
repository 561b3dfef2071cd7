"""The old mount calls, pivot_root, and which file system an open file is on."""

import ctypes
import os

from wherry.linux.libc import check, libc

MS_RDONLY = 1
MS_NOSUID = 2
MS_NODEV = 4
MS_NOEXEC = 8
MS_SYNCHRONOUS = 16
MS_REMOUNT = 32
MS_MANDLOCK = 64
MS_DIRSYNC = 128
MS_NOSYMFOLLOW = 256
MS_NOATIME = 1024
MS_NODIRATIME = 2048
MS_BIND = 4096
MS_MOVE = 8192
MS_REC = 16384
MS_SILENT = 32768
MS_UNBINDABLE = 1 << 17
MS_PRIVATE = 1 << 18
MS_SLAVE = 1 << 19
MS_SHARED = 1 << 20
MS_RELATIME = 1 << 21
MS_STRICTATIME = 1 << 24
MS_LAZYTIME = 1 << 25

MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

# linux/magic.h
PROC_MAGIC = 0x9FA0
SYSFS_MAGIC = 0x62656572
DEVPTS_MAGIC = 0x1CD1
TMPFS_MAGIC = 0x01021994
CGROUP_MAGIC = 0x27E0EB
CGROUP2_MAGIC = 0x63677270
NSFS_MAGIC = 0x6E736673

_mount = libc["mount"]
_mount.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p]
_umount2 = libc["umount2"]
_umount2.argtypes = [ctypes.c_char_p, ctypes.c_int]
_pivot_root = libc["pivot_root"]
_pivot_root.argtypes = [ctypes.c_char_p, ctypes.c_char_p]
_fstatfs = libc["fstatfs"]
_fstatfs.argtypes = [ctypes.c_int, ctypes.c_void_p]


def mount(source: str | bytes, target: str | bytes, kind: str, flags: int = 0, data: str = "") -> None:
    """mount(2); ``data`` is limited to one page by the kernel."""
    check(_mount(os.fsencode(source), os.fsencode(target), kind.encode(), flags, os.fsencode(data)), source, target)


def umount(target: str | bytes, flags: int = 0) -> None:
    """umount2(2)."""
    check(_umount2(os.fsencode(target), flags), target)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    check(_pivot_root(os.fsencode(new_root), os.fsencode(put_old)), new_root, put_old)


def file_system_magic(fd: int) -> int:
    """The ``f_type`` of the file system that an open file (O_PATH will do) is on."""
    buffer = ctypes.create_string_buffer(256)  # struct statfs is 120 bytes; f_type is its first long
    check(_fstatfs(fd, buffer))
    return int(ctypes.c_long.from_buffer(buffer).value) & 0xFFFFFFFF

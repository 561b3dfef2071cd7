"""The mount API of descriptors (Linux 5.2, mount_setattr 5.12): trees are built detached and attached once."""

import ctypes
import os

from wherry.linux.libc import (
    SYS_FSCONFIG,
    SYS_FSMOUNT,
    SYS_FSOPEN,
    SYS_MOUNT_SETATTR,
    SYS_MOVE_MOUNT,
    SYS_OPEN_TREE,
    check,
    syscall,
)

AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

_MOVE_MOUNT_F_EMPTY_PATH = 0x04
_MOVE_MOUNT_T_EMPTY_PATH = 0x40

MOUNT_ATTR_RDONLY = 0x01
MOUNT_ATTR_NOSUID = 0x02
MOUNT_ATTR_NODEV = 0x04
MOUNT_ATTR_NOEXEC = 0x08
MOUNT_ATTR__ATIME = 0x70
MOUNT_ATTR_RELATIME = 0x00
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_IDMAP = 0x00100000
MOUNT_ATTR_NOSYMFOLLOW = 0x00200000

_FSOPEN_CLOEXEC = 1
_FSMOUNT_CLOEXEC = 1
_FSCONFIG_SET_FLAG = 0
_FSCONFIG_SET_STRING = 1
_FSCONFIG_SET_FD = 5
_FSCONFIG_CMD_CREATE = 6


class _MountAttr(ctypes.Structure):
    _fields_ = [
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    ]


class FileSystemContext:
    """A file system being configured (fsopen(2)); a context manager that closes the descriptor."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._fd = check(syscall(SYS_FSOPEN, kind.encode(), _FSOPEN_CLOEXEC), kind)

    def __enter__(self) -> "FileSystemContext":
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)

    def set_flag(self, key: str) -> None:
        """A parameter without a value."""
        self._check(syscall(SYS_FSCONFIG, self._fd, _FSCONFIG_SET_FLAG, key.encode(), None, 0), key)

    def set_string(self, key: str, value: str) -> None:
        """A parameter with a value (at most 255 bytes before Linux 6.5-ish, a page after)."""
        self._check(
            syscall(SYS_FSCONFIG, self._fd, _FSCONFIG_SET_STRING, key.encode(), os.fsencode(value), 0),
            f"{key}={value}",
        )

    def create(self) -> None:
        """Make the superblock."""
        self._check(syscall(SYS_FSCONFIG, self._fd, _FSCONFIG_CMD_CREATE, None, None, 0), None)

    def mount(self, attributes: int = 0) -> int:
        """A detached mount of it (fsmount(2)); MOUNT_ATTR_*."""
        return check(syscall(SYS_FSMOUNT, self._fd, _FSMOUNT_CLOEXEC, attributes), self.kind)

    def _check(self, result: int, parameter: str | None) -> None:
        if result >= 0:
            return
        number = ctypes.get_errno()
        reason = os.strerror(number)
        try:  # the kernel explains itself through the context, one "e text" line a read
            explained = os.read(self._fd, 4096)[2:].strip().decode(errors="replace")
        except OSError:  # ENODATA: it has nothing to add
            explained = ""
        if explained:
            reason = f"{reason} ({explained})"
        raise OSError(number, reason, f"{self.kind} {parameter}" if parameter else self.kind)


def open_tree(dir_fd: int, path: str | bytes, flags: int) -> int:
    """open_tree(2), CLOEXEC added; with OPEN_TREE_CLONE a detached bind mount (AT_RECURSIVE: of the whole tree)."""
    return check(syscall(SYS_OPEN_TREE, dir_fd, os.fsencode(path), flags | OPEN_TREE_CLOEXEC), path)


def clone_tree(fd: int, *, recursive: bool) -> int:
    """A detached bind mount of what ``fd`` (O_PATH) pins."""
    return open_tree(fd, b"", AT_EMPTY_PATH | OPEN_TREE_CLONE | (AT_RECURSIVE if recursive else 0))


def move_mount(tree_fd: int, target_fd: int) -> None:
    """Attach a detached tree on what ``target_fd`` (O_PATH) pins."""
    flags = _MOVE_MOUNT_F_EMPTY_PATH | _MOVE_MOUNT_T_EMPTY_PATH
    check(syscall(SYS_MOVE_MOUNT, tree_fd, b"", target_fd, b"", flags))


def mount_setattr(
    fd: int,
    *,
    set_attributes: int = 0,
    clear_attributes: int = 0,
    propagation: int = 0,
    recursive: bool = False,
    userns_fd: int | None = None,
    path: str | bytes = b"",
) -> None:
    """mount_setattr(2) on the mount that ``fd`` is the root of, or on ``path`` (from ``fd`` or AT_FDCWD)."""
    attr = _MountAttr(set_attributes, clear_attributes, propagation, userns_fd if userns_fd is not None else 0)
    flags = (AT_RECURSIVE if recursive else 0) | (0 if path else AT_EMPTY_PATH)
    encoded = os.fsencode(path)
    check(syscall(SYS_MOUNT_SETATTR, fd, encoded, flags, ctypes.byref(attr), ctypes.sizeof(attr)), path)

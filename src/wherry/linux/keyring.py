"""Kernel keyrings: a session keyring of one's own (keyctl(2))."""

import ctypes
import os

from wherry.linux.libc import MACHINE, check, syscall

_SYS_KEYCTL = {"x86_64": 250, "ppc64le": 271, "s390x": 280}.get(MACHINE, 219)
_KEYCTL_JOIN_SESSION_KEYRING = 1
_KEYCTL_SETPERM = 5
_KEYCTL_DESCRIBE = 6


def join_session_keyring(name: str) -> int:
    """Leave the inherited session keyring for a new one (or one of this name that is ours); its serial."""
    return check(syscall(_SYS_KEYCTL, _KEYCTL_JOIN_SESSION_KEYRING, ctypes.c_char_p(os.fsencode(name))))


def set_permissions(serial: int, permissions: int) -> None:
    """KEYCTL_SETPERM."""
    check(syscall(_SYS_KEYCTL, _KEYCTL_SETPERM, serial, permissions))


def permissions(serial: int) -> int:
    """The permission bits of a key (the fourth field of KEYCTL_DESCRIBE, hexadecimal)."""
    buffer = ctypes.create_string_buffer(512)
    check(syscall(_SYS_KEYCTL, _KEYCTL_DESCRIBE, serial, buffer, ctypes.sizeof(buffer)))
    return int(buffer.value.split(b";")[3], 16)

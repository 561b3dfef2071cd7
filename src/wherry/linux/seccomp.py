"""Installing a seccomp filter (seccomp(2)). What the filter says is ``security/bpf.py``."""

import ctypes

from wherry.linux.libc import MACHINE, check, syscall

_SYS_SECCOMP = {"x86_64": 317, "aarch64": 277, "riscv64": 277, "armv7l": 383, "i686": 354}

_SET_MODE_FILTER = 1
_GET_ACTION_AVAIL = 2

FILTER_FLAG_TSYNC = 1 << 0
FILTER_FLAG_NEW_LISTENER = 1 << 3
FILTER_FLAG_TSYNC_ESRCH = 1 << 4


class _Program(ctypes.Structure):
    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def install(program: bytes, flags: int = 0, *, listener: bool = False) -> int | None:
    """Filter every thread of the calling process from now on, its children and what it executes.

    ``program`` is an array of struct sock_filter. Needs no_new_privs or CAP_SYS_ADMIN (else EACCES).
    With ``listener`` returns the descriptor that SCMP_ACT_NOTIFY calls are answered on (CLOEXEC), else None.
    The calls that follow, the caller's own included, are already filtered.
    """
    flags |= FILTER_FLAG_TSYNC
    if listener:
        # Without ESRCH the kernel would have to return both a descriptor and a thread id.
        flags |= FILTER_FLAG_NEW_LISTENER | FILTER_FLAG_TSYNC_ESRCH
    argument = _Program(len(program) // 8, program)
    result = check(syscall(_SYS_SECCOMP[MACHINE], _SET_MODE_FILTER, flags, ctypes.byref(argument)))
    return result if listener else None


def action_available(action: int) -> bool:
    """Whether the running kernel knows a SECCOMP_RET_* action."""
    value = ctypes.c_uint32(action)
    return syscall(_SYS_SECCOMP[MACHINE], _GET_ACTION_AVAIL, 0, ctypes.byref(value)) == 0

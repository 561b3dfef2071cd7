"""Capabilities of the calling thread: names, the three sets, bounding, ambient, securebits.

Sets are integers, bit N is capability N. Which capabilities a container gets is ``security/capabilities.py``.
"""

from __future__ import annotations

import ctypes

from wherry.linux.libc import check, libc
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_NAMES = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
    "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
    "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
)
NAMES = tuple("CAP_" + name for name in _NAMES.split())
"""Capability N is ``NAMES[N]`` (linux/capability.h)."""

NUMBERS = {name: number for number, name in enumerate(NAMES)}

SECBIT_NOROOT = 0x01
SECBIT_NO_SETUID_FIXUP = 0x04
SECBIT_KEEP_CAPS = 0x10
SECBIT_NO_CAP_AMBIENT_RAISE = 0x40

_VERSION_3 = 0x20080522
_PR_SET_KEEPCAPS = 8
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_GET_SECUREBITS = 27
_PR_SET_SECUREBITS = 28
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_IS_SET = 1
_PR_CAP_AMBIENT_RAISE = 2
_PR_CAP_AMBIENT_LOWER = 3
_PR_CAP_AMBIENT_CLEAR_ALL = 4


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Data(ctypes.Structure):
    _fields_ = [(f"{name}_{half}", ctypes.c_uint32) for half in (0, 1) for name in ("eff", "perm", "inh")]


# libc["x"] gives a function object of our own: argtypes set elsewhere on the shared one do not meet these.
_capget = libc["capget"]
_capget.argtypes = [ctypes.POINTER(_Header), ctypes.POINTER(_Data)]
_capset = libc["capset"]
_capset.argtypes = [ctypes.POINTER(_Header), ctypes.POINTER(_Data)]
_prctl = libc["prctl"]
_prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4


def mask(names: Iterable[str]) -> int:
    """The set as an integer; KeyError for a name that is not in NAMES."""
    result = 0
    for name in names:
        result |= 1 << NUMBERS[name]
    return result


def names(bits: int) -> list[str]:
    """The names of a set in the order of their numbers; bits without a name are left out."""
    return [name for number, name in enumerate(NAMES) if bits >> number & 1]


def last_cap() -> int:
    """The highest capability number that the running kernel knows."""
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def capget(pid: int = 0) -> tuple[int, int, int]:
    """(effective, permitted, inheritable) of a process, 0 for the calling thread."""
    data = _Data()
    check(_capget(ctypes.byref(_Header(_VERSION_3, pid)), ctypes.byref(data)))
    return (data.eff_0 | data.eff_1 << 32, data.perm_0 | data.perm_1 << 32, data.inh_0 | data.inh_1 << 32)


def capset(*, effective: int, permitted: int, inheritable: int) -> None:
    """Replace the calling thread's sets (capset(2), version 3)."""
    low = 0xFFFFFFFF
    data = _Data(effective & low, permitted & low, inheritable & low,
                 effective >> 32, permitted >> 32, inheritable >> 32)  # fmt: skip
    check(_capset(ctypes.byref(_Header(_VERSION_3, 0)), ctypes.byref(data)))


def bounding() -> int:
    """The calling thread's bounding set."""
    result = number = 0
    while (is_set := _prctl(_PR_CAPBSET_READ, number, 0, 0, 0)) >= 0:  # EINVAL past the last capability
        result |= is_set << number
        number += 1
    return result


def drop_bounding(*, keep: int) -> None:
    """Take every capability out of the bounding set that is not in ``keep``. Needs CAP_SETPCAP."""
    number = 0
    # Not up to /proc/sys/kernel/cap_last_cap: this is called where /proc is the container's.
    while (is_set := _prctl(_PR_CAPBSET_READ, number, 0, 0, 0)) >= 0:  # EINVAL past the last capability
        if is_set and not keep >> number & 1:
            check(_prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
        number += 1


def ambient() -> int:
    """The calling thread's ambient set."""
    result = number = 0
    while (is_set := _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_IS_SET, number, 0, 0)) >= 0:
        result |= is_set << number
        number += 1
    return result


def clear_ambient() -> None:
    """Empty the ambient set."""
    check(_prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0))


def raise_ambient(number: int) -> None:
    """Put one capability into the ambient set; it must be permitted and inheritable (else EPERM)."""
    check(_prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, number, 0, 0))


def set_keep_caps(*, on: bool) -> None:
    """Whether the permitted set survives the change from uid 0 to another uid. Reset by execve."""
    check(_prctl(_PR_SET_KEEPCAPS, int(on), 0, 0, 0))


def securebits() -> int:
    """The calling thread's securebits (SECBIT_*)."""
    return check(_prctl(_PR_GET_SECUREBITS, 0, 0, 0, 0))


def set_securebits(bits: int) -> None:
    """Replace the securebits. Needs CAP_SETPCAP."""
    check(_prctl(_PR_SET_SECUREBITS, bits, 0, 0, 0))

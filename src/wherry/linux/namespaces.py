"""Namespaces: create (unshare), join (setns), and the host names of a UTS namespace."""

import ctypes
import os

from wherry.linux.libc import check, libc

CLONE_NEWTIME = 0x00000080
CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

FLAGS = {
    "user": CLONE_NEWUSER,
    "cgroup": CLONE_NEWCGROUP,
    "ipc": CLONE_NEWIPC,
    "uts": CLONE_NEWUTS,
    "network": CLONE_NEWNET,
    "pid": CLONE_NEWPID,
    "time": CLONE_NEWTIME,
    "mount": CLONE_NEWNS,
}
"""The OCI name of each kind, in an order in which they can be joined (the user namespace first, mounts last)."""

PROC_NAMES = {
    "user": "user",
    "cgroup": "cgroup",
    "ipc": "ipc",
    "uts": "uts",
    "network": "net",
    "pid": "pid",
    "time": "time",
    "mount": "mnt",
}
"""The file in /proc/<pid>/ns of each kind."""

_setns = libc["setns"]
_setns.argtypes = [ctypes.c_int, ctypes.c_int]
_unshare = libc["unshare"]
_unshare.argtypes = [ctypes.c_int]
_sethostname = libc["sethostname"]
_sethostname.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
_setdomainname = libc["setdomainname"]
_setdomainname.argtypes = [ctypes.c_char_p, ctypes.c_size_t]


def setns(fd: int, flags: int) -> None:
    """setns(2): ``fd`` is a namespace (flags: its kind or 0) or a pidfd (flags: any set of kinds, all or none)."""
    check(_setns(fd, flags))


def unshare(flags: int) -> None:
    """unshare(2)."""
    check(_unshare(flags))


def sethostname(name: str) -> None:
    """sethostname(2)."""
    encoded = os.fsencode(name)
    check(_sethostname(encoded, len(encoded)))


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    encoded = os.fsencode(name)
    check(_setdomainname(encoded, len(encoded)))


def open_namespace(pid: int, kind: str) -> int:
    """Open the namespace of a process; ``kind`` is the OCI name."""
    return os.open(f"/proc/{pid}/ns/{PROC_NAMES[kind]}", os.O_RDONLY | os.O_CLOEXEC)


def same_namespace(kind: str, pid: int) -> bool:
    """Whether a process shares the caller's namespace of this kind."""
    name = PROC_NAMES[kind]
    return os.readlink(f"/proc/{pid}/ns/{name}") == os.readlink(f"/proc/self/ns/{name}")

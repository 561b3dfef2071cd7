"""Making processes and setting their attributes: clone3, prctl, scheduling, descriptors and signals."""

from __future__ import annotations

import ctypes
import os

from wherry.linux import signals
from wherry.linux.libc import MACHINE, SYS_CLONE3, SYS_CLOSE_RANGE, check, libc, syscall
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

CLONE_PIDFD = 0x00001000
CLONE_PARENT = 0x00008000
CLONE_CLEAR_SIGHAND = 0x100000000

# rt_sigaction(2); rt_sigprocmask(2) is the next number.
_RT_SIGACTION = {"x86_64": 13, "aarch64": 134}
_RESERVED_SIGNALS = (32, 33)
_SIGSET_BYTES = 8
CLONE_INTO_CGROUP = 0x200000000

CLOSE_RANGE_CLOEXEC = 4

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

# Numbers that differ between architectures; the default is asm-generic/unistd.h (aarch64, riscv64, loongarch64).
_SYS_SCHED_SETATTR = {"x86_64": 314, "ppc64le": 355, "s390x": 345}.get(MACHINE, 274)
_SYS_IOPRIO_SET = {"x86_64": 251, "ppc64le": 273, "s390x": 282}.get(MACHINE, 30)

# PyDLL keeps the interpreter's lock across the call: the child of clone3 wakes up owning it, as after os.fork.
_pylibc = ctypes.PyDLL(None, use_errno=True)
_clone3 = _pylibc["syscall"]
_clone3.restype = ctypes.c_long
_clone3.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t]

_prctl = libc["prctl"]
_prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
_personality = libc["personality"]
_personality.argtypes = [ctypes.c_ulong]

_MAX_FD = 0x7FFFFFFF


class _CloneArgs(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint64)
        for name in (
            [
                "flags",
                "pidfd",
                "child_tid",
                "parent_tid",
                "exit_signal",
                "stack",
                "stack_size",
                "tls",
                "set_tid",
                "set_tid_size",
                "cgroup",
            ]
        )
    ]


class _SchedAttr(ctypes.Structure):
    _fields_ = [
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    ]


def clone3(flags: int = 0, *, cgroup_fd: int | None = None) -> tuple[int, int]:
    """clone3(2) in the manner of fork: (0, -1) in the child, (pid, pidfd) in the parent.

    Only for a single-threaded process, and the child must end in execve or os._exit: interpreter and libc run no
    fork hooks. Handled signals are reset in the child. With CLONE_PARENT the caller's parent gets the child.
    ``cgroup_fd``: a cgroup v2 directory that the child is born into.
    """
    pidfd = ctypes.c_int(-1)
    args = _CloneArgs()
    args.flags = flags | CLONE_PIDFD | CLONE_CLEAR_SIGHAND
    args.pidfd = ctypes.addressof(pidfd)
    if not flags & CLONE_PARENT:  # the kernel takes the caller's own exit signal then, and wants 0 here
        args.exit_signal = signals.SIGCHLD
    if cgroup_fd is not None:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = cgroup_fd
    pid = check(_clone3(SYS_CLONE3, ctypes.addressof(args), ctypes.sizeof(args)))
    return (pid, pidfd.value) if pid else (0, -1)


def set_dumpable(*, on: bool) -> None:
    """PR_SET_DUMPABLE: off, nobody without CAP_SYS_PTRACE over it may inspect this process. Reset by execve."""
    check(_prctl(_PR_SET_DUMPABLE, int(on), 0, 0, 0))


def set_no_new_privileges() -> None:
    """PR_SET_NO_NEW_PRIVS; cannot be undone."""
    check(_prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def set_parent_death_signal(number: int) -> None:
    """PR_SET_PDEATHSIG, 0 for none. Cleared by a change of credentials."""
    check(_prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0))


def set_child_subreaper(*, on: bool) -> None:
    """PR_SET_CHILD_SUBREAPER: orphaned descendants become children of this process."""
    check(_prctl(_PR_SET_CHILD_SUBREAPER, int(on), 0, 0, 0))


def set_name(name: str) -> None:
    """PR_SET_NAME: the ``comm`` of the thread, at most 15 bytes."""
    buffer = ctypes.create_string_buffer(os.fsencode(name)[:15])
    check(_prctl(_PR_SET_NAME, ctypes.addressof(buffer), 0, 0, 0))


def command_line_area() -> tuple[int, int]:
    """Where the kernel reads /proc/<pid>/cmdline of this process and its forks: address and size (proc(5), stat)."""
    with open("/proc/self/stat", encoding="utf-8", errors="replace") as file:
        fields = file.read().rpartition(")")[2].split()
    start, end = int(fields[45]), int(fields[46])
    return start, end - start


def set_command_line(area: tuple[int, int], text: bytes) -> None:
    """Say what this process is in place of how its interpreter was called; cut to the room there is."""
    start, size = area
    ctypes.memmove(start, text[: size - 1].ljust(size, b"\0"), size)


def set_personality(persona: int) -> None:
    """personality(2)."""
    check(_personality(persona))


def sched_setattr(
    policy: int, *, flags: int, nice: int, priority: int, runtime_ns: int, deadline_ns: int, period_ns: int
) -> None:
    """sched_setattr(2) on the calling thread."""
    attr = _SchedAttr(ctypes.sizeof(_SchedAttr), policy, flags, nice, priority, runtime_ns, deadline_ns, period_ns)
    check(syscall(_SYS_SCHED_SETATTR, 0, ctypes.byref(attr), 0))


def ioprio_set(io_class: int, priority: int) -> None:
    """ioprio_set(2) on the calling thread: class 1 real-time, 2 best-effort, 3 idle; priority 0-7."""
    check(syscall(_SYS_IOPRIO_SET, 1, 0, io_class << 13 | priority))


def close_range(first: int, last: int, flags: int = 0) -> None:
    """close_range(2)."""
    check(syscall(SYS_CLOSE_RANGE, first, last, flags))


def close_except(keep: Iterable[int]) -> None:
    """Close every descriptor from 3 up that is not in ``keep``."""
    first = 3
    for fd in sorted(set(keep)):
        if fd < first:
            continue
        if fd > first:
            close_range(first, fd - 1)
        first = fd + 1
    close_range(first, _MAX_FD)


def cloexec_from(first: int) -> None:
    """Set CLOEXEC on every descriptor from ``first`` up."""
    close_range(first, _MAX_FD, CLOSE_RANGE_CLOEXEC)


def reset_signals() -> None:
    """Give ignored signals their default action (Python ignores SIGPIPE and SIGXFSZ) and unblock all."""
    for number in signals.valid_signals():
        if signals.getsignal(number) == signals.SIG_IGN:
            signals.set_handler(number, signals.SIG_DFL)
    signals.pthread_sigmask(signals.SIG_SETMASK, ())
    if MACHINE not in _RT_SIGACTION:
        return
    # The C library keeps two real-time signals to itself; what it inherited of them would be inherited on.
    default = bytes(32)  # struct sigaction of the kernel: SIG_DFL, no flags, empty mask
    for number in _RESERVED_SIGNALS:
        check(syscall(_RT_SIGACTION[MACHINE], number, default, None, _SIGSET_BYTES))
    check(syscall(_RT_SIGACTION[MACHINE] + 1, signals.SIG_SETMASK, bytes(_SIGSET_BYTES), None, _SIGSET_BYTES))

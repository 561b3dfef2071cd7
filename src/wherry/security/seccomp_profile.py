"""Docker's default seccomp profile as data, and profiles in Docker's format, made into OCI ``linux.seccomp``.

Docker's format is the OCI object plus ``archMap`` and, per entry, ``includes`` and ``excludes`` (capabilities,
architectures, least kernel version), which this module decides. Compiling is ``bpf.py``.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping

from wherry import json_text
from wherry.errors import InvalidParameter, System
from wherry.linux.libc import MACHINE
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

# What every container may call. Notably absent: io_uring, userfaultfd, keyrings, kexec, swap, module loading.
_ALWAYS = """
accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep
clock_nanosleep_time64 close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1
epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit
exit_group faccessat faccessat2 fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2
fchown fchown32 fchownat fcntl fcntl64 fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat
fstat64 fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait
futex_waitv futex_wake futimesat get_robust_list get_thread_area getcpu getcwd getdents getdents64 getegid getegid32
geteuid geteuid32 getgid getgid32 getgroups getgroups32 getitimer getpeername getpgid getpgrp getpid getppid
getpriority getrandom getresgid getresgid32 getresuid getresuid32 getrlimit getrusage getsid getsockname getsockopt
gettid gettimeofday getuid getuid32 getxattr getxattrat inotify_add_watch inotify_init inotify_init1
inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit ioctl
ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset landlock_restrict_self lchown lchown32
lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek lremovexattr lseek lsetxattr lstat
lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir mkdirat mknod mknodat mlock
mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64
mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock munlockall munmap
name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open pidfd_send_signal pipe pipe2
pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2 prlimit64 process_mrelease
pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv recv recvfrom recvmmsg
recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2 restart_syscall
riscv_hwprobe rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min
sched_getaffinity sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64
sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop
semtimedop semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area
set_tid_address setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid
setpriority setregid setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid
setsockopt setuid setuid32 setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4
sigprocmask sigreturn socketcall socketpair splice stat stat64 statfs statfs64 statmount statx symlink symlinkat
sync sync_file_range syncfs sysinfo tee tgkill time timer_create timer_delete timer_getoverrun timer_gettime
timer_gettime64 timer_settime timer_settime64 timerfd_create timerfd_gettime timerfd_gettime64 timerfd_settime
timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask uname unlink unlinkat uretprobe utime utimensat
utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
"""

_CLONE_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET."""

# What a capability brings: without it the kernel would mostly refuse anyway, so the code need not be reachable.
_BY_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie "
    "lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open "
    "quotactl quotactl_fd setdomainname sethostname setns syslog umount umount2 unshare",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}

_BY_ARCHITECTURE = (
    ("ppc64le", "sync_file_range2 swapcontext"),
    ("arm arm64", "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls"),
    ("amd64 x32", "arch_prctl"),
    ("amd64 x32 x86", "modify_ldt"),
    ("s390 s390x", "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
    ("riscv64", "riscv_flush_icache"),
)

# AF_ALG (38) reaches the kernel's crypto code, AF_VSOCK (40) the hypervisor.
_SOCKET_FAMILIES = (("SCMP_CMP_LT", 38), ("SCMP_CMP_EQ", 39), ("SCMP_CMP_GT", 40))

# PER_LINUX, PER_LINUX32, UNAME26 on either, and the query.
_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)

_SUB_ARCHITECTURES = {
    "X86_64": "X86 X32",
    "AARCH64": "ARM",
    "MIPS64": "MIPS MIPS64N32",
    "MIPS64N32": "MIPS MIPS64",
    "MIPSEL64": "MIPSEL MIPSEL64N32",
    "MIPSEL64N32": "MIPSEL MIPSEL64",
    "S390X": "S390",
    "RISCV64": "",
    "LOONGARCH64": "",
}

# uname's machine: Docker's name of the architecture and libseccomp's.
_MACHINES = {
    "x86_64": ("amd64", "X86_64"),
    "i686": ("x86", "X86"),
    "aarch64": ("arm64", "AARCH64"),
    "armv7l": ("arm", "ARM"),
    "armv6l": ("arm", "ARM"),
    "ppc64le": ("ppc64le", "PPC64LE"),
    "s390x": ("s390x", "S390X"),
    "riscv64": ("riscv64", "RISCV64"),
    "loongarch64": ("loongarch64", "LOONGARCH64"),
}


class InvalidProfile(InvalidParameter):
    """A profile that is not in Docker's format."""


def default_profile(
    capabilities: Collection[str], *, machine: str = MACHINE, kernel: tuple[int, int] | None = None
) -> dict[str, Any]:
    """Docker's default profile for a container with this bounding set, as an OCI ``linux.seccomp`` object.

    ``kernel`` is (major, minor), by default the running one.
    """
    resolved = resolve(docker_default(), capabilities, machine=machine, kernel=kernel)
    assert resolved is not None
    return resolved


def docker_default() -> dict[str, Any]:
    """The default profile in Docker's own format."""
    entries: list[dict[str, Any]] = [
        _allow(_ALWAYS),
        _allow("process_vm_readv process_vm_writev ptrace", kernel="4.8"),
    ]
    entries += [_allow("socket", args=(0, operator, family)) for operator, family in _SOCKET_FAMILIES]
    entries += [_allow("personality", args=(0, "SCMP_CMP_EQ", value)) for value in _PERSONALITIES]
    entries += [_allow(names, arches=arches) for arches, names in _BY_ARCHITECTURE]
    entries += [_allow(names, caps=capability) for capability, names in _BY_CAPABILITY.items()]
    # On s390 clone's flags are the second argument.
    for index, which in ((0, "excludes"), (1, "includes")):
        entry = _allow("clone", args=(index, "SCMP_CMP_MASKED_EQ", _CLONE_NAMESPACES))
        entry["excludes"] = {"caps": ["CAP_SYS_ADMIN"]}
        entry.setdefault(which, {})["arches"] = ["s390", "s390x"]
        entries.append(entry)
    # clone3's flags lie in memory, out of a filter's sight; ENOSYS sends libraries back to clone.
    entries.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38,
                    "excludes": {"caps": ["CAP_SYS_ADMIN"]}})  # fmt: skip
    architectures = [
        {"architecture": "SCMP_ARCH_" + main, "subArchitectures": ["SCMP_ARCH_" + sub for sub in subs.split()]}
        for main, subs in _SUB_ARCHITECTURES.items()
    ]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 1, "archMap": architectures, "syscalls": entries}


def _allow(
    names: str, *, args: tuple[int, str, int] | None = None, caps: str = "", arches: str = "", kernel: str = ""
) -> dict[str, Any]:
    entry: dict[str, Any] = {"names": names.split(), "action": "SCMP_ACT_ALLOW"}
    if args:
        index, operator, value = args
        entry["args"] = [{"index": index, "value": value, "op": operator}]
    includes = {"caps": caps.split(), "arches": arches.split(), "minKernel": kernel}
    if needed := {key: value for key, value in includes.items() if value}:
        entry["includes"] = needed
    return entry


def load_profile(
    text: str | bytes,
    capabilities: Collection[str],
    *,
    machine: str = MACHINE,
    kernel: tuple[int, int] | None = None,
) -> dict[str, Any] | None:
    """A profile in Docker's JSON format (``--security-opt seccomp=…``) as ``linux.seccomp``; None: no filter.

    Raises InvalidProfile with Docker's text.
    """
    try:
        profile = json_text.loads(text)
    except (ValueError, RecursionError) as exc:
        raise InvalidProfile(f"Decoding seccomp profile failed: {exc}") from exc
    if not isinstance(profile, dict):
        raise InvalidProfile("Decoding seccomp profile failed: the profile is not a JSON object")
    _check_shape(profile)
    return resolve(profile, capabilities, machine=machine, kernel=kernel)


def _check_shape(profile: Mapping[str, Any]) -> None:
    """JSON of the wrong types is the user's mistake, to be found here and not as an exception further down."""
    entries = _list(profile, "syscalls", dict)
    for entry in entries:
        _list(entry, "names", str)
        _list(entry, "args", dict)
        for conditions in (entry.get("includes") or {}, entry.get("excludes") or {}):
            if not isinstance(conditions, dict):
                raise InvalidProfile("Decoding seccomp profile failed: includes and excludes are objects")
            _list(conditions, "caps", str)
            _list(conditions, "arches", str)
            if not isinstance(conditions.get("minKernel") or "", str):
                raise InvalidProfile("Decoding seccomp profile failed: minKernel is a string")
    for entry in _list(profile, "archMap", dict):
        _list(entry, "subArchitectures", str)
    _list(profile, "architectures", str)
    _list(profile, "flags", str)


def _list(container: Mapping[str, Any], key: str, kind: type[dict[str, Any]] | type[str]) -> list[Any]:
    value = container.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(element, kind) for element in value):
        raise InvalidProfile(f"Decoding seccomp profile failed: {key} is not a list of {_KIND_NAMES[kind.__name__]}")
    return value


_KIND_NAMES = {"dict": "objects", "str": "strings"}


def read_profile(path: str) -> str:
    """The text of a profile's file. Raises System with Docker's text."""
    try:
        with open(path, encoding="utf-8") as file:
            return file.read()
    except (OSError, ValueError) as exc:
        raise System(f"opening seccomp profile ({path}) failed: {exc}") from exc


def resolve(
    profile: Mapping[str, Any],
    capabilities: Collection[str],
    *,
    machine: str = MACHINE,
    kernel: tuple[int, int] | None = None,
) -> dict[str, Any] | None:
    """Decide what depends on the container, the machine and the kernel. None when the profile asks for no filter."""
    if not profile.get("defaultAction") and not profile.get("syscalls"):
        return None
    if profile.get("architectures") and profile.get("archMap"):
        raise InvalidProfile(
            "both 'architectures' and 'archMap' are specified in the seccomp profile, "
            "use either 'architectures' or 'archMap'"
        )
    docker_arch, scmp_arch = _MACHINES.get(machine, (machine, machine.upper()))
    running = kernel or _running_kernel()
    architectures = list(profile.get("architectures") or ())
    for entry in profile.get("archMap") or ():
        if entry.get("architecture") == "SCMP_ARCH_" + scmp_arch:
            architectures = [entry["architecture"], *(entry.get("subArchitectures") or ())]
            break
    syscalls = []
    for entry in profile.get("syscalls") or ():
        if entry.get("name") and entry.get("names"):
            raise InvalidProfile(
                "both 'name' and 'names' are specified in the seccomp profile, use either 'name' or 'names'"
            )
        excludes, includes = entry.get("excludes") or {}, entry.get("includes") or {}
        if _any_holds(excludes, capabilities, docker_arch, running):
            continue
        if not _all_hold(includes, capabilities, docker_arch, running):
            continue
        call = {
            "names": [entry["name"]] if entry.get("name") else entry.get("names") or [],
            "action": entry.get("action"),
        }
        call.update({key: entry[key] for key in ("errnoRet", "args") if entry.get(key) is not None})
        syscalls.append(call)
    result: dict[str, Any] = {"defaultAction": profile.get("defaultAction"), "architectures": architectures}
    for key in ("defaultErrnoRet", "flags", "listenerPath", "listenerMetadata"):
        if profile.get(key) is not None:
            result[key] = profile[key]
    result["syscalls"] = syscalls
    return result


def _any_holds(
    conditions: Mapping[str, Any], capabilities: Collection[str], arch: str, kernel: tuple[int, int]
) -> bool:
    return (
        arch in (conditions.get("arches") or ())
        or any(name in capabilities for name in conditions.get("caps") or ())
        or (bool(conditions.get("minKernel")) and _parse_kernel(conditions["minKernel"]) <= kernel)
    )


def _all_hold(
    conditions: Mapping[str, Any], capabilities: Collection[str], arch: str, kernel: tuple[int, int]
) -> bool:
    return (
        (not conditions.get("arches") or arch in conditions["arches"])
        and all(name in capabilities for name in conditions.get("caps") or ())
        and (not conditions.get("minKernel") or _parse_kernel(conditions["minKernel"]) <= kernel)
    )


def _parse_kernel(version: str) -> tuple[int, int]:
    major, _, rest = version.partition(".")
    minor = rest[: len(rest) - len(rest.lstrip("0123456789"))]
    if not (major.isdecimal() and minor):
        raise InvalidProfile(
            f'Decoding seccomp profile failed: invalid kernel version: expected "<kernel version>.<major revision>": '
            f"{version}"
        )
    return int(major), int(minor)


def _running_kernel() -> tuple[int, int]:
    return _parse_kernel(os.uname().release)

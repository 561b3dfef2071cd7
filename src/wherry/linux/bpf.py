"""bpf(2), as far as cgroup device programs need it. Which program is ``runtime/device_program.py``."""

import ctypes
import os

from wherry.linux.libc import MACHINE, check, syscall

_SYS_BPF = {"x86_64": 321, "aarch64": 280, "riscv64": 280, "armv7l": 386, "i686": 357}

_PROG_LOAD = 5
_PROG_ATTACH = 8
_PROG_DETACH = 9
_PROG_GET_FD_BY_ID = 13
_PROG_QUERY = 16

_PROG_TYPE_CGROUP_DEVICE = 15
_CGROUP_DEVICE = 6
_ALLOW_MULTI = 1 << 1

_MAX_ATTACHED = 64


class _Load(ctypes.Structure):
    _fields_ = [
        ("prog_type", ctypes.c_uint32),
        ("insn_cnt", ctypes.c_uint32),
        ("insns", ctypes.c_uint64),
        ("license", ctypes.c_uint64),
        ("log_level", ctypes.c_uint32),
        ("log_size", ctypes.c_uint32),
        ("log_buf", ctypes.c_uint64),
        ("kern_version", ctypes.c_uint32),
        ("prog_flags", ctypes.c_uint32),
        ("prog_name", ctypes.c_char * 16),
    ]


class _Attach(ctypes.Structure):
    _fields_ = [
        ("target_fd", ctypes.c_uint32),
        ("attach_bpf_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("replace_bpf_fd", ctypes.c_uint32),
    ]


class _Query(ctypes.Structure):
    _fields_ = [
        ("target_fd", ctypes.c_uint32),
        ("attach_type", ctypes.c_uint32),
        ("query_flags", ctypes.c_uint32),
        ("attach_flags", ctypes.c_uint32),
        ("prog_ids", ctypes.c_uint64),
        ("prog_cnt", ctypes.c_uint32),
    ]


class _ById(ctypes.Structure):
    _fields_ = [("id", ctypes.c_uint32), ("next_id", ctypes.c_uint32), ("open_flags", ctypes.c_uint32)]


def _bpf(command: int, attributes: ctypes.Structure) -> int:
    return check(syscall(_SYS_BPF[MACHINE], command, ctypes.byref(attributes), ctypes.sizeof(attributes)))


def load_cgroup_device(instructions: bytes) -> int:
    """Load a BPF_PROG_TYPE_CGROUP_DEVICE program; returns its descriptor (CLOEXEC). EINVAL, EACCES: the verifier."""
    code = ctypes.create_string_buffer(instructions, len(instructions))
    license_text = ctypes.create_string_buffer(b"Apache-2.0")
    attributes = _Load(
        prog_type=_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt=len(instructions) // 8,
        insns=ctypes.addressof(code),
        license=ctypes.addressof(license_text),
        prog_name=b"wherry_devices",
    )
    return _bpf(_PROG_LOAD, attributes)


def attach_cgroup_device(cgroup_fd: int, program_fd: int) -> None:
    """Attach beside those that are there: an access must pass all of them. The kernel keeps the program."""
    _bpf(_PROG_ATTACH, _Attach(cgroup_fd, program_fd, _CGROUP_DEVICE, _ALLOW_MULTI))


def detach_cgroup_device(cgroup_fd: int, program_fd: int) -> None:
    """Undo :func:`attach_cgroup_device`."""
    _bpf(_PROG_DETACH, _Attach(cgroup_fd, program_fd, _CGROUP_DEVICE))


def attached_cgroup_devices(cgroup_fd: int) -> list[int]:
    """Descriptors of the programs attached to this very cgroup; the caller closes them."""
    identifiers = (ctypes.c_uint32 * _MAX_ATTACHED)()
    query = _Query(target_fd=cgroup_fd, attach_type=_CGROUP_DEVICE, prog_ids=ctypes.addressof(identifiers),
                   prog_cnt=_MAX_ATTACHED)  # fmt: skip
    _bpf(_PROG_QUERY, query)
    found: list[int] = []
    try:
        for identifier in identifiers[: query.prog_cnt]:
            found.append(_bpf(_PROG_GET_FD_BY_ID, _ById(identifier)))
    except BaseException:
        for fd in found:
            os.close(fd)
        raise
    return found

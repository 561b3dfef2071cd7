"""The distribution's libseccomp as an oracle: the same OCI profile, compiled the way runc does."""

import ctypes
import os
import tempfile
from collections.abc import Mapping
from typing import Any

_lib = ctypes.CDLL("libseccomp.so.2", use_errno=True)
_lib.seccomp_init.restype = ctypes.c_void_p
_lib.seccomp_init.argtypes = [ctypes.c_uint32]
_lib.seccomp_release.argtypes = [ctypes.c_void_p]
_lib.seccomp_arch_add.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
_lib.seccomp_arch_remove.argtypes = [ctypes.c_void_p, ctypes.c_uint32]
_lib.seccomp_attr_set.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32]
_lib.seccomp_export_bpf.argtypes = [ctypes.c_void_p, ctypes.c_int]
_lib.seccomp_syscall_resolve_name.argtypes = [ctypes.c_char_p]
_lib.seccomp_syscall_resolve_name_arch.argtypes = [ctypes.c_uint32, ctypes.c_char_p]

TOKENS = {
    "SCMP_ARCH_X86": 0x40000003,
    "SCMP_ARCH_X86_64": 0xC000003E,
    "SCMP_ARCH_X32": 0x4000003E,
    "SCMP_ARCH_AARCH64": 0xC00000B7,
    "SCMP_ARCH_ARM": 0x40000028,
    "SCMP_ARCH_RISCV64": 0xC00000F3,
}
_NATIVE = TOKENS["SCMP_ARCH_X86_64"]
_ACTIONS = {
    "SCMP_ACT_KILL": 0,
    "SCMP_ACT_KILL_THREAD": 0,
    "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000,
    "SCMP_ACT_ERRNO": 0x00050000,
    "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000,
    "SCMP_ACT_ALLOW": 0x7FFF0000,
    "SCMP_ACT_NOTIFY": 0x7FC00000,
}
_OPERATORS = {f"SCMP_CMP_{name}": n for n, name in enumerate(("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"), 1)}
_UNKNOWN = -1
_ATTRIBUTE_BAD_ARCH = 2
_ATTRIBUTE_OPTIMIZE = 8


class _Compare(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


_lib.seccomp_rule_add_array.argtypes = [
    ctypes.c_void_p,
    ctypes.c_uint32,
    ctypes.c_int,
    ctypes.c_uint,
    ctypes.POINTER(_Compare),
]


def number(architecture: str, name: str) -> int | None:
    """The call's number in an ABI; None when libseccomp does not know it or the ABI does not have it."""
    result = int(_lib.seccomp_syscall_resolve_name_arch(TOKENS[architecture], name.encode()))
    return result if result >= 0 else None


def action(name: str, errno_ret: int | None) -> int:
    """The value that a filter returns for an action."""
    value = _ACTIONS[name]
    return value | (1 if errno_ret is None else errno_ret) if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else value


def compile_profile(profile: Mapping[str, Any]) -> bytes:
    """The filter without runc's -ENOSYS stub; a foreign ABI kills the process."""
    default = action(profile["defaultAction"], profile.get("defaultErrnoRet"))
    context = _lib.seccomp_init(default)
    try:
        _check(_lib.seccomp_attr_set(context, _ATTRIBUTE_BAD_ARCH, 0x80000000))
        tokens = [TOKENS[name] for name in profile["architectures"]]
        for token in tokens:
            if token != _NATIVE:
                _check(_lib.seccomp_arch_add(context, token))
        if _NATIVE not in tokens:
            _check(_lib.seccomp_arch_remove(context, _NATIVE))
        if len(profile["syscalls"]) > 32:
            _check(_lib.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, 2))
        for entry in profile["syscalls"]:
            value = action(entry["action"], entry.get("errnoRet"))
            if value == default:
                continue
            compares = [
                _Compare(a["index"], _OPERATORS[a["op"]], a["value"], a.get("valueTwo", 0))
                for a in entry.get("args", ())
            ]
            shared = len({a["index"] for a in entry.get("args", ())}) < len(compares)
            for name in entry["names"]:
                resolved = _lib.seccomp_syscall_resolve_name(name.encode())
                if resolved == _UNKNOWN:
                    continue
                for group in [[c] for c in compares] if shared else [compares]:
                    array = (_Compare * len(group))(*group)
                    _check(_lib.seccomp_rule_add_array(context, value, resolved, len(group), array), name)
        return _export(context)
    finally:
        _lib.seccomp_release(context)


def _export(context: int) -> bytes:
    with tempfile.TemporaryFile() as file:
        _check(_lib.seccomp_export_bpf(context, file.fileno()))
        file.seek(0)
        return file.read()


def _check(result: int, what: str = "") -> None:
    # A rule that repeats another one is no mistake (EEXIST).
    if result < 0 and result != -17:
        raise OSError(-result, os.strerror(-result), what)

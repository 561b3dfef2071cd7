"""cgroup v2 has no device files: access is decided by an eBPF program, assembled here from a device policy.

The kernel runs it for every open and mknod with struct bpf_cgroup_dev_ctx: {access << 16 | type, major, minor}.
It answers 1 (go on) or 0 (EPERM).
"""

import os
import struct

from wherry.linux import bpf
from wherry.security.devices import DevicePolicy, DeviceRule

# enum bpf_cgroup_dev_ctx type and access (linux/bpf.h)
_KINDS = {"b": 1, "c": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL_ACCESS = 7

# Opcodes (Documentation/bpf/standardization/instruction-set.rst). Arithmetic is on 32 bits.
_LOAD_WORD = 0x61
_MOVE_REGISTER = 0xBC
_MOVE = 0xB4
_AND = 0x54
_SHIFT_RIGHT = 0x74
_JUMP_NOT_EQUAL = 0x55
_JUMP_EQUAL = 0x15
_EXIT = 0x95

_RESULT, _CONTEXT, _KIND, _WANTED, _MAJOR, _MINOR = range(6)
_SCRATCH = _CONTEXT  # the context is done with once its three words are loaded

_pack = struct.Struct("=BBhI").pack


def assemble(policy: DevicePolicy) -> bytes:
    """The program: the first exception that applies decides, else the default."""
    code = [
        _instruction(_LOAD_WORD, _KIND, source=_CONTEXT, offset=0),
        _instruction(_MOVE_REGISTER, _WANTED, source=_KIND),
        _instruction(_AND, _KIND, value=0xFFFF),
        _instruction(_SHIFT_RIGHT, _WANTED, value=16),
        _instruction(_LOAD_WORD, _MAJOR, source=_CONTEXT, offset=4),
        _instruction(_LOAD_WORD, _MINOR, source=_CONTEXT, offset=8),
    ]
    for rule in policy.exceptions:
        code += _exception(rule, allow_all=policy.allow_all)
    code += _answer(allow=policy.allow_all)
    return b"".join(code)


def attach(cgroup_fd: int, policy: DevicePolicy) -> None:
    """Put a program for ``policy`` in the place of those attached to this cgroup. Raises OSError.

    The new one comes before the old ones go: there is no moment without rules.
    """
    old = bpf.attached_cgroup_devices(cgroup_fd)
    try:
        program = bpf.load_cgroup_device(assemble(policy))
        try:
            bpf.attach_cgroup_device(cgroup_fd, program)
        finally:
            os.close(program)
        for fd in old:
            bpf.detach_cgroup_device(cgroup_fd, fd)
    finally:
        for fd in old:
            os.close(fd)


def _exception(rule: DeviceRule, *, allow_all: bool) -> list[bytes]:
    access = sum(_ACCESS[letter] for letter in rule.access)
    tests: list[tuple[int, int, int]] = [(_JUMP_NOT_EQUAL, _KIND, _KINDS[rule.kind])]
    if rule.major is not None:
        tests.append((_JUMP_NOT_EQUAL, _MAJOR, rule.major))
    if rule.minor is not None:
        tests.append((_JUMP_NOT_EQUAL, _MINOR, rule.minor))
    masked: list[bytes] = []
    if access != _ALL_ACCESS:
        # Allowing needs everything that is wanted to be in the rule; refusing needs only one of it.
        mask = access if allow_all else _ALL_ACCESS & ~access
        masked = [
            _instruction(_MOVE_REGISTER, _SCRATCH, source=_WANTED),
            _instruction(_AND, _SCRATCH, value=mask),
        ]
        tests.append((_JUMP_EQUAL if allow_all else _JUMP_NOT_EQUAL, _SCRATCH, 0))
    answer = _answer(allow=not allow_all)
    code = list(answer)
    for index, (opcode, register, value) in enumerate(reversed(tests)):
        code.insert(0, _instruction(opcode, register, value=value, offset=len(code)))
        if index == 0 and masked:
            code = masked + code
    return code


def _answer(*, allow: bool) -> list[bytes]:
    return [_instruction(_MOVE, _RESULT, value=int(allow)), _instruction(_EXIT, 0)]


def _instruction(opcode: int, register: int, *, source: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return _pack(opcode, source << 4 | register, offset, value)

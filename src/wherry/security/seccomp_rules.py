"""Reading the OCI ``linux.seccomp`` object: names to numbers, every field checked. Compiling is ``bpf.py``."""

from __future__ import annotations

import errno

from wherry.errors import InvalidParameter
from wherry.record import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

# linux/seccomp.h
KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
ERRNO = 0x00050000
NOTIFY = 0x7FC00000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000

_ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_ALLOW": ALLOW,
    "SCMP_ACT_NOTIFY": NOTIFY,
}

FLAGS = {
    "SECCOMP_FILTER_FLAG_TSYNC": 1 << 0,
    "SECCOMP_FILTER_FLAG_LOG": 1 << 1,
    "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 1 << 2,
    "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV": 1 << 5,
}

ARCHITECTURES = {
    f"SCMP_ARCH_{name}": name.lower()
    for name in ("X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64",
                 "MIPSEL64N32", "PPC", "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64",
                 "LOONGARCH64", "M68K", "SH", "SHEB")
}  # fmt: skip

_OPERATORS = frozenset("SCMP_CMP_" + name for name in ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ"))


class InvalidSeccomp(InvalidParameter):
    """A profile that the specification, the kernel or this machine does not allow."""


class Condition(NamedTuple):
    """``arguments[argument] operator value``; for SCMP_CMP_MASKED_EQ ``… & value == value_two``."""

    argument: int
    operator: str
    value: int
    value_two: int


class Rule(NamedTuple):
    """The calls that get ``action`` when every condition holds."""

    names: Sequence[str]
    conditions: tuple[Condition, ...]
    action: int


def action_value(name: object, errno_ret: object) -> int:
    """The kernel's number for an action, with its errno (default EPERM) where it takes one."""
    if not isinstance(name, str) or name not in _ACTIONS:
        raise InvalidSeccomp(f"seccomp action {name!r} is not known")
    action = _ACTIONS[name]
    if action in (ERRNO, TRACE):
        value = errno.EPERM if errno_ret is None else errno_ret
        if not isinstance(value, int) or not 0 <= value <= 0xFFFF:
            raise InvalidSeccomp(f"seccomp errnoRet {value!r} is not a number from 0 to 65535")
        return action | value
    if errno_ret is not None:
        raise InvalidSeccomp(f"seccomp action {name} does not take an errnoRet")
    return action


def flag_bits(profile: Mapping[str, Any]) -> int:
    """SECCOMP_FILTER_FLAG_* bits of the profile's ``flags``."""
    names = profile.get("flags")
    if names is None:
        # As runc: speculative store bypass stays as fast as outside the container.
        return FLAGS["SECCOMP_FILTER_FLAG_SPEC_ALLOW"]
    bits = 0
    for name in names:
        if name not in FLAGS:
            raise InvalidSeccomp(f"seccomp flag {name!r} is not known")
        bits |= FLAGS[name]
    return bits


def parse_rules(profile: Mapping[str, Any]) -> list[Rule]:
    """The profile's rules in order. Raises InvalidSeccomp."""
    result: list[Rule] = []
    for entry in profile.get("syscalls") or ():
        if not isinstance(entry, dict):
            raise InvalidSeccomp("encountered nil syscall while initializing Seccomp")
        names = entry.get("names")
        if not isinstance(names, list) or not names or not all(isinstance(name, str) and name for name in names):
            raise InvalidSeccomp("empty string is not a valid syscall")
        action = action_value(entry.get("action"), entry.get("errnoRet"))
        if action == NOTIFY and "write" in names:
            raise InvalidSeccomp("SCMP_ACT_NOTIFY cannot be used for the write syscall")
        conditions = tuple(_condition(names[0], argument) for argument in entry.get("args") or ())
        if len({index for index, _, _, _ in conditions}) < len(conditions):
            # As runc: alternatives, where a conjunction (a range, say) may have been meant.
            result += [Rule(names, (condition,), action) for condition in conditions]
        else:
            result.append(Rule(names, conditions, action))
    return result


def _condition(syscall: str, argument: Mapping[str, Any]) -> Condition:
    index, operator = argument.get("index", 0), argument.get("op")
    value, value_two = argument.get("value", 0), argument.get("valueTwo") or 0
    if operator not in _OPERATORS:
        raise InvalidSeccomp(f"seccomp operator {operator!r} of syscall {syscall} is not known")
    if not isinstance(index, int) or not 0 <= index <= 5:
        raise InvalidSeccomp(f"seccomp argument index {index!r} of syscall {syscall} is not from 0 to 5")
    for number in (value, value_two):
        if not isinstance(number, int) or not 0 <= number < 1 << 64:
            raise InvalidSeccomp(
                f"seccomp argument value {number!r} of syscall {syscall} is not an unsigned 64-bit number"
            )
    return Condition(index, str(operator), value, value_two)

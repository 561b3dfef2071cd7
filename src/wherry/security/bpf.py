"""From the OCI ``linux.seccomp`` object to a classic BPF program, for every ABI of the machine's family.

What it promises, beyond the specification (each is what runc with libseccomp does, and tests compare them):

- A call through a foreign ABI, x32 included when it is not listed, kills the process.
- A call newer than every call that the profile names gives ENOSYS instead of the default action, unless the
  default lets calls pass: libraries then fall back instead of giving up (runc's "-ENOSYS stub").
- Rules of one call are alternatives; a rule without arguments beats those with; a rule whose action is the
  default action is void; several conditions on one argument index are alternatives of their own.
- A call that an ABI does not have is passed over. i386's socketcall and ipc follow the calls they carry.

Installing the program is ``linux/seccomp.py``. No tables are kept: only the last few compiled programs are.
"""

from __future__ import annotations

import errno

from wherry import json_text
from wherry.linux.libc import MACHINE
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.security import assembler, syscalls
from wherry.security.assembler import Assembler
from wherry.security.seccomp_rules import (
    ALLOW,
    ARCHITECTURES,
    ERRNO,
    KILL_PROCESS,
    LOG,
    NOTIFY,
    TRACE,
    Condition,
    InvalidSeccomp,
    Rule,
    action_value,
    flag_bits,
    parse_rules,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

_X86_FAMILY = {"x86_64": 0xC000003E, "x32": 0xC000003E, "x86": 0x40000003}
_ARM_FAMILY = {"aarch64": 0xC00000B7, "arm": 0x40000028}
# Per machine: the ABIs that its kernel can run and their AUDIT_ARCH_*, the native one first.
_FAMILIES = {"x86_64": _X86_FAMILY, "aarch64": _ARM_FAMILY, "riscv64": {"riscv64": 0xC00000F3}}
_WIDE = ("x86_64", "aarch64", "riscv64")

Alternative = tuple[tuple[Condition, ...], int]
# What a call gets: an action, or rules that are tried in order before the default action.
_Verdict = int | tuple[Alternative, ...]

_CACHE_SIZE = 8
_cache: dict[str, CompiledFilter] = {}


class CompiledFilter(NamedTuple):
    """What ``linux/seccomp.py`` needs to install the filter."""

    program: bytes
    """An array of struct sock_filter."""
    flags: int
    """SECCOMP_FILTER_FLAG_* bits of the profile (TSYNC is the installer's affair)."""
    needs_listener: bool
    """Some call gives SCMP_ACT_NOTIFY: the descriptor goes to ``listener_path``."""
    listener_path: str
    listener_metadata: str

    @property
    def instructions(self) -> int:
        """The length of the program."""
        return len(self.program) // 8


def compile_profile(profile: Mapping[str, Any], *, machine: str = MACHINE) -> CompiledFilter:
    """Compile an OCI ``linux.seccomp`` object for the ABIs of ``machine``; the last few results are kept.

    Raises InvalidSeccomp for unknown names of actions, operators, flags or architectures, for SCMP_ACT_NOTIFY
    where it cannot work, and for a program over the kernel's limit.
    """
    key = machine + json_text.dumps(profile)
    compiled = _cache.pop(key, None) or _compile(profile, machine)
    _cache[key] = compiled
    if len(_cache) > _CACHE_SIZE:
        del _cache[next(iter(_cache))]
    return compiled


def _compile(profile: Mapping[str, Any], machine: str) -> CompiledFilter:
    if machine not in _FAMILIES:
        raise InvalidSeccomp(f"compile seccomp profile: no system call table for {machine}",
                             hint="Use --security-opt seccomp=unconfined on this machine.")  # fmt: skip
    default = action_value(profile.get("defaultAction"), profile.get("defaultErrnoRet"))
    if default == NOTIFY:
        raise InvalidSeccomp("SCMP_ACT_NOTIFY cannot be used as default action")
    rules = parse_rules(profile)
    needs_listener = any(rule.action == NOTIFY for rule in rules)
    listener_path = profile.get("listenerPath") or ""
    if needs_listener and not listener_path:
        raise InvalidSeccomp("seccomp listenerPath is not set")
    program = _assemble(rules, default, _abis(profile.get("architectures") or (), machine), machine)
    if len(program) > 8 * assembler.MAX_INSTRUCTIONS:
        raise InvalidSeccomp(
            f"compile seccomp profile: {len(program) // 8} instructions, the kernel's limit is "
            f"{assembler.MAX_INSTRUCTIONS}",
            hint="Name fewer calls with argument conditions, or fewer architectures.",
        )
    return CompiledFilter(
        program, flag_bits(profile), needs_listener, listener_path, profile.get("listenerMetadata") or ""
    )


def _abis(names: Iterable[str], machine: str) -> list[str]:
    """The ABIs to filter: the native one, always, and those listed that this machine's kernel can run."""
    family = _FAMILIES[machine]
    chosen = [next(iter(family))]
    for name in names:
        if name not in ARCHITECTURES:
            raise InvalidSeccomp(f"seccomp architecture {name!r} is not known")
        abi = ARCHITECTURES[name]
        if abi in family and abi not in chosen:
            chosen.append(abi)
    return chosen


def _assemble(rules: Sequence[Rule], default: int, abis: list[str], machine: str) -> bytes:
    program = Assembler()
    chains: dict[tuple[bool, tuple[Alternative, ...]], int] = {}

    def target(verdict: _Verdict, *, wide: bool) -> int:
        if isinstance(verdict, int):
            return program.returning(verdict)
        if (wide, verdict) not in chains:
            label = program.returning(default)
            for conditions, action in reversed(verdict):
                missed, label = label, program.returning(action)
                for index, operator, value, value_two in reversed(conditions):
                    label = program.compare(index, operator, value, value_two, (label, missed), wide=wide)
            chains[wide, verdict] = label
        return chains[wide, verdict]

    foreign = program.returning(KILL_PROCESS)
    arch_label: dict[int, int] = {}
    for abi in abis:
        if abi == "x32":
            continue  # part of x86_64's tree: the two differ only in a bit of the call's number
        wide = abi in _WIDE
        intervals = [(start, verdict, wide) for start, verdict in _intervals(abi, rules, default)]
        if abi == "x86_64" and "x32" in abis:
            intervals += [(start, verdict, False) for start, verdict in _intervals("x32", rules, default)]
        elif abi == "x86_64":
            # -1 is what a tracer leaves behind to skip a call; it is no x32 call.
            intervals += [(syscalls.X32_BIT, KILL_PROCESS, wide), (0xFFFFFFFF, default, wide)]
        targets = [target(verdict, wide=wide) for _, verdict, wide in intervals]
        tree = program.search([start for start, _, _ in intervals], targets)
        arch_label[_FAMILIES[machine][abi]] = program.load(assembler.OFFSET_NUMBER, tree)
    label = foreign
    for arch, section in reversed(arch_label.items()):  # the native one is asked first
        label = program.branch(assembler.JUMP_EQUAL, arch, section, label)
    program.load(assembler.OFFSET_ARCH, label)
    return program.finish()


def _intervals(abi: str, rules: Sequence[Rule], default: int) -> list[tuple[int, _Verdict]]:
    """The calls of an ABI as (first number, verdict), ascending; each ends where the next one starts."""
    numbers = syscalls.table(abi)
    verdicts, newest = _verdicts(numbers, rules, default)
    if abi == "x86":
        _add_multiplexed(numbers, rules, default, verdicts)
    # A default that lets calls pass lets new ones pass too.
    passes = default in (ALLOW, LOG) or default & 0xFFFF0000 == TRACE
    beyond = default if passes or newest < 0 else ERRNO | errno.ENOSYS
    result: list[tuple[int, _Verdict]] = []

    def append(start: int, verdict: _Verdict) -> None:
        if not result or result[-1][1] != verdict:
            result.append((start, verdict))

    position = syscalls.X32_BIT if abi == "x32" else 0
    for number in [*sorted(verdicts), 1 << 32]:
        if position < number and position <= newest:
            append(position, default)
            position = newest + 1
        if position < number:
            append(position, beyond)
        if number in verdicts:
            append(number, verdicts[number])
        position = number + 1
    return result


def _verdicts(numbers: dict[str, int], rules: Sequence[Rule], default: int) -> tuple[dict[int, _Verdict], int]:
    """What each named call gets, and the highest number that the profile names (-1: none)."""
    plain: dict[int, int] = {}
    conditional: dict[int, list[Alternative]] = {}
    newest = -1
    for names, conditions, action in rules:
        for name in names:
            number = numbers.get(name)
            if number is None:
                continue
            if number < syscalls.ARM_PRIVATE or number >= syscalls.X32_BIT:
                newest = max(newest, number)
            if action == default:
                continue
            if conditions:
                conditional.setdefault(number, []).append((conditions, action))
            else:
                plain.setdefault(number, action)
    verdicts: dict[int, _Verdict] = {number: tuple(chain) for number, chain in conditional.items()}
    verdicts.update(plain)
    return verdicts, newest


def _add_multiplexed(
    numbers: dict[str, int],
    rules: Sequence[Rule],
    default: int,
    verdicts: dict[int, _Verdict],
) -> None:
    """Carry rules for sockets and System V IPC over to i386's socketcall(2) and ipc(2).

    Their arguments lie in memory, where a filter cannot look. So a rule with conditions can only be carried
    over by widening it, which is done when that refuses more and not when it would allow more.
    """
    for carrier, text in (("socketcall", syscalls.SOCKETCALLS), ("ipc", syscalls.IPC_CALLS)):
        existing = verdicts.get(numbers[carrier], ())
        if isinstance(existing, int):
            continue
        calls = syscalls.parse(text)
        chain = list(existing)
        for names, conditions, action in rules:
            if action == default or (conditions and default not in (ALLOW, LOG)):
                continue
            for name in names:
                if name in calls:
                    chain.append(((Condition(0, "SCMP_CMP_EQ", calls[name], 0),), action))
        if chain:
            verdicts[numbers[carrier]] = tuple(chain)

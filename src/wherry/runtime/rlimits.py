"""Resource limits of a process (prlimit(2)): its parent raises the ceilings, it lowers itself to what was asked for.

Lowering comes late: an init that may open few files, or map little memory, could not set its container up.
"""

from __future__ import annotations

import resource

from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure, SpecInvalid

if TYPE_CHECKING:
    from collections.abc import Sequence

_UNLIMITED = 0xFFFFFFFFFFFFFFFF
Rlimit = tuple[str, int, int]
"""(RLIMIT_*, soft, hard), as in config.json: 2^64-1 is unlimited."""

# The resource module names those that the C library does; these are the kernel's numbers (asm-generic/resource.h).
_NUMBERS = {
    "RLIMIT_CPU": 0, "RLIMIT_FSIZE": 1, "RLIMIT_DATA": 2, "RLIMIT_STACK": 3, "RLIMIT_CORE": 4, "RLIMIT_RSS": 5,
    "RLIMIT_NPROC": 6, "RLIMIT_NOFILE": 7, "RLIMIT_MEMLOCK": 8, "RLIMIT_AS": 9, "RLIMIT_LOCKS": 10,
    "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13, "RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15,
}  # fmt: skip


def check_rlimits(limits: Sequence[Rlimit]) -> None:
    """Raises SpecInvalid for an unknown or a repeated kind."""
    seen = set()
    for kind, soft, hard in limits:
        if kind not in _NUMBERS:
            raise SpecInvalid(f"wrong rlimit value: {kind}")
        if kind in seen:
            raise SpecInvalid(f"rlimit {kind} is given twice")
        if soft > hard:
            raise SpecInvalid(f"rlimit {kind}: the soft limit {soft} is above the hard limit {hard}")
        seen.add(kind)


def raise_ceilings(pid: int, limits: Sequence[Rlimit]) -> list[str]:
    """In the parent: lift the hard limits of ``pid`` that are below what is asked for. That needs CAP_SYS_RESOURCE:
    without it the present hard limit stays, and a warning for each such limit is returned."""
    warnings = []
    for kind, _, hard in limits:
        number, wanted = _NUMBERS[kind], _value(hard)
        try:
            soft_now, hard_now = resource.prlimit(pid, number)
            if _lower(wanted, hard_now) == wanted:
                continue
            try:
                resource.prlimit(pid, number, (soft_now, wanted))
            except PermissionError:
                warnings.append(
                    f"{kind} lowered to {_text((hard_now,))}: raising the hard limit to {_text((wanted,))} needs"
                    " CAP_SYS_RESOURCE"
                )
        except (OSError, ValueError) as exc:
            raise RuntimeFailure(f"error setting rlimit {kind}: {exc}") from exc
    return warnings


def set_own(limits: Sequence[Rlimit]) -> None:
    """In the process itself: the limits as asked for, or the ceiling where that is lower."""
    for kind, soft, hard in limits:
        number = _NUMBERS[kind]
        ceiling = resource.getrlimit(number)[1]
        try:
            resource.setrlimit(number, (_lower(_value(soft), ceiling), _lower(_value(hard), ceiling)))
        except (OSError, ValueError) as exc:
            raise RuntimeFailure(f"error setting rlimit {kind} to {soft}:{hard}: {exc}") from exc


def _value(limit: int) -> int:
    return resource.RLIM_INFINITY if limit >= _UNLIMITED >> 1 else limit


def _lower(limit: int, ceiling: int) -> int:
    if ceiling == resource.RLIM_INFINITY:
        return limit
    return ceiling if limit == resource.RLIM_INFINITY else min(limit, ceiling)


def _text(limits: tuple[int, ...]) -> str:
    return ":".join("unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in limits)

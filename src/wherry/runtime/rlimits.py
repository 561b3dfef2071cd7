"""Resource limits of a process, set from outside by its parent (prlimit(2))."""

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


def apply_rlimits(pid: int, limits: Sequence[Rlimit]) -> list[str]:
    """Set the limits. Without CAP_SYS_RESOURCE the present hard limit is the ceiling: the request is lowered to it.

    Returns a warning for each that was lowered.
    """
    warnings = []
    for kind, soft, hard in limits:
        number = _NUMBERS[kind]
        wanted = (_value(soft), _value(hard))
        try:
            resource.prlimit(pid, number, wanted)
        except PermissionError:
            ceiling = resource.prlimit(pid, number)[1]
            lowered = (_lower(wanted[0], ceiling), _lower(wanted[1], ceiling))
            resource.prlimit(pid, number, lowered)
            warnings.append(
                f"{kind} lowered to {_text(lowered)}: raising the hard limit above {_text((ceiling,))} needs"
                " CAP_SYS_RESOURCE"
            )
        except (OSError, ValueError) as exc:
            raise RuntimeFailure(f"error setting rlimit {kind} to {soft}:{hard}: {exc}") from exc
    return warnings


def _value(limit: int) -> int:
    return resource.RLIM_INFINITY if limit >= _UNLIMITED >> 1 else limit


def _lower(limit: int, ceiling: int) -> int:
    if ceiling == resource.RLIM_INFINITY:
        return limit
    return ceiling if limit == resource.RLIM_INFINITY else min(limit, ceiling)


def _text(limits: tuple[int, ...]) -> str:
    return ":".join("unlimited" if limit == resource.RLIM_INFINITY else str(limit) for limit in limits)

"""Which capabilities a container has: Docker's default set and its rules for CapAdd, CapDrop, Privileged.

The names are the specification's (``CAP_CHOWN``); the kernel's side is ``linux/capabilities.py``.
"""

from collections.abc import Iterable, Sequence

from wherry.errors import InvalidParameter
from wherry.linux import capabilities as kernel

DEFAULT = (
    "CAP_CHOWN", "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_FSETID", "CAP_KILL", "CAP_SETGID", "CAP_SETUID",
    "CAP_SETPCAP", "CAP_NET_BIND_SERVICE", "CAP_NET_RAW", "CAP_SYS_CHROOT", "CAP_MKNOD", "CAP_AUDIT_WRITE",
    "CAP_SETFCAP",
)  # fmt: skip
"""Docker's default bounding set, ``a80425fb`` in /proc/self/status."""

_ALL = "ALL"


class UnknownCapability(InvalidParameter):
    """A name that no kernel knows, or that this environment does not have."""


def available() -> tuple[str, ...]:
    """What the calling process could give away at most: its own effective set, which is what "ALL" means."""
    effective, _, _ = kernel.capget()
    return tuple(kernel.names(effective))


def normalize(names: Iterable[str], *, field: str, present: Sequence[str]) -> list[str]:
    """Upper case with ``CAP_``; "ALL" stays. ``field`` (CapAdd, CapDrop) opens the message of a refusal."""
    result = []
    for name in names:
        upper = name.upper()
        if upper != _ALL and not upper.startswith("CAP_"):
            upper = "CAP_" + upper
        if upper == "CAP_ALL":
            upper = _ALL
        if upper != _ALL and upper not in kernel.NUMBERS:
            raise UnknownCapability(f'invalid {field}: unknown capability: "{upper}"')
        if upper != _ALL and upper not in present:
            raise UnknownCapability(
                f"invalid {field}: capability not supported by your kernel or not available in the current "
                f'environment: "{upper}"'
            )
        result.append(upper)
    return result


def resolve(
    add: Iterable[str] = (),
    drop: Iterable[str] = (),
    *,
    privileged: bool = False,
    present: Sequence[str] | None = None,
) -> tuple[str, ...]:
    """The container's bounding set, in the order of the capabilities' numbers.

    Docker's rules: privileged has everything and ignores both lists; add ALL minus the dropped ones; drop ALL
    leaves only the added ones; otherwise the default set, minus, plus (what is in both lists is kept).
    ``present`` is what exists here, by default :func:`available`. Raises UnknownCapability, Docker's text.
    """
    everything = available() if present is None else present
    added = normalize(add, field="CapAdd", present=everything)
    # Dropping what is not here anyway is no error of the user's.
    dropped = normalize(drop, field="CapDrop", present=kernel.NAMES)
    if privileged:
        chosen = set(everything)
    elif _ALL in added:
        chosen = set(everything) - set(dropped)
    elif _ALL in dropped:
        chosen = set(added)
    else:
        # A default that the engine itself lacks cannot be given.
        chosen = (set(DEFAULT) & set(everything)) - set(dropped) | set(added)
    return tuple(name for name in kernel.NAMES if name in chosen)

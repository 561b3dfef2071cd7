"""The devices of a container: the default nodes, the default access rules, and what a list of rules amounts to.

A rule is the cgroup v1 line: type (a, b, c), major:minor (``*`` for any), access (r, w, m). Applying rules is
``runtime/cgroups_v1.py`` and ``cgroups_v2.py``.
"""

from __future__ import annotations

from wherry.errors import InvalidParameter
from wherry.record import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any


class DeviceNode(NamedTuple):
    """A character device that every container has."""

    path: str
    major: int
    minor: int
    mode: int


DEFAULT_NODES = (
    DeviceNode("/dev/null", 1, 3, 0o666),
    DeviceNode("/dev/zero", 1, 5, 0o666),
    DeviceNode("/dev/full", 1, 7, 0o666),
    DeviceNode("/dev/random", 1, 8, 0o666),
    DeviceNode("/dev/urandom", 1, 9, 0o666),
    DeviceNode("/dev/tty", 5, 0, 0o666),
)
"""Made in every container. /dev/console is bound to the terminal, /dev/ptmx is a link into devpts."""

_READ_WRITE_MAKE = "rwm"


class DeviceRule(NamedTuple):
    """One line; None for a number is any. ``access`` is a part of "rwm", in that order."""

    kind: str
    major: int | None
    minor: int | None
    access: str
    allow: bool = True

    def __str__(self) -> str:
        """The line as devices.allow and devices.deny read it."""
        major, minor = ("*" if number is None else str(number) for number in (self.major, self.minor))
        return f"{self.kind} {major}:{minor} {self.access}"


DEFAULT_RULES = (
    # Making a node gives no access to it.
    DeviceRule("c", None, None, "m"),
    DeviceRule("b", None, None, "m"),
    *(DeviceRule("c", node.major, node.minor, _READ_WRITE_MAKE) for node in DEFAULT_NODES),
    DeviceRule("c", 5, 1, _READ_WRITE_MAKE),  # console
    DeviceRule("c", 136, None, _READ_WRITE_MAKE),  # pts
    DeviceRule("c", 5, 2, _READ_WRITE_MAKE),  # ptmx
)
"""What every container may use, whatever its list of rules says (as runc adds to every specification)."""


class DevicePolicy(NamedTuple):
    """What rules amount to: a default, and exceptions to it that do not repeat.

    With ``allow_all`` an exception takes away: any access that it names is refused. Without, it gives:
    an access passes when a single exception covers it whole.
    """

    allow_all: bool
    exceptions: tuple[DeviceRule, ...]


class InvalidDeviceRule(InvalidParameter):
    """A rule that is not in the format, or that the kernel does not have."""


def parse_rule(line: str) -> DeviceRule:
    """A rule of ``--device-cgroup-rule``, for example ``c 1:3 rwm``. Raises InvalidDeviceRule with Docker's text."""
    kind, _, rest = line.partition(" ")
    numbers, _, access = rest.partition(" ")
    major, _, minor = numbers.partition(":")
    if (
        kind not in ("a", "b", "c")
        or not all(number == "*" or (number.isascii() and number.isdigit()) for number in (major, minor))
        or not (1 <= len(access) <= 3 and set(access) <= set(_READ_WRITE_MAKE))
    ):
        raise InvalidDeviceRule(f"invalid device cgroup rule format: '{line}'")
    return DeviceRule(kind, _number(major), _number(minor), _ordered(access))


def rule_from_oci(entry: Mapping[str, Any]) -> DeviceRule:
    """An element of OCI ``linux.resources.devices``; -1 and absence are "any", access defaults to all."""
    kind = entry.get("type") or "a"
    access = entry.get("access") or _READ_WRITE_MAKE
    major, minor = (None if entry.get(key) in (None, -1) else entry[key] for key in ("major", "minor"))
    if kind not in ("a", "b", "c", "u", "p"):
        raise InvalidDeviceRule(f"invalid device cgroup rule: unknown type {kind!r}")
    if kind == "p":
        raise InvalidDeviceRule("invalid device cgroup rule: a FIFO is not subject to device rules")
    if not set(access) <= set(_READ_WRITE_MAKE):
        raise InvalidDeviceRule(f"invalid device cgroup rule: unknown access {access!r}")
    for number in (major, minor):
        if number is not None and (not isinstance(number, int) or not 0 <= number < 1 << 32):
            raise InvalidDeviceRule(f"invalid device cgroup rule: device number {number!r}")
    return DeviceRule("c" if kind == "u" else kind, major, minor, _ordered(access), bool(entry.get("allow")))


def policy(rules: Iterable[DeviceRule]) -> DevicePolicy:
    """The rules in order, starting from "nothing is allowed", by the semantics of cgroup v1.

    A rule for all devices replaces everything before it. A rule that goes the way of the present default takes
    its access out of the exception for exactly the same numbers; one that goes the other way adds to it.
    """
    allow_all = False
    exceptions: dict[tuple[str, int | None, int | None], set[str]] = {}
    for rule in rules:
        if rule.kind == "a" and rule.major is None and rule.minor is None:
            allow_all, exceptions = rule.allow, {}
            continue
        for kind in "bc" if rule.kind == "a" else rule.kind:
            access = exceptions.setdefault((kind, rule.major, rule.minor), set())
            if rule.allow == allow_all:
                access -= set(rule.access)
            else:
                access |= set(rule.access)
    return DevicePolicy(
        allow_all,
        tuple(
            DeviceRule(kind, major, minor, _ordered(access), not allow_all)
            for (kind, major, minor), access in exceptions.items()
            if access
        ),
    )


def container_policy(entries: Iterable[Mapping[str, Any]]) -> DevicePolicy:
    """What OCI ``linux.resources.devices`` amounts to, with DEFAULT_RULES behind it."""
    rules = [rule_from_oci(entry) for entry in entries]
    wildcards = [rule for rule in rules if rule.kind == "a" and rule.major is None and rule.minor is None]
    # Where everything is allowed the default rules would only undo what the list takes away.
    return policy(rules if wildcards and wildcards[-1].allow else [*rules, *DEFAULT_RULES])


def _number(text: str) -> int | None:
    return None if text == "*" else int(text)


def _ordered(access: Iterable[str]) -> str:
    return "".join(sorted(set(access), key=_READ_WRITE_MAKE.index))

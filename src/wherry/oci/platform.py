"""Platforms: parse, normalise, format and match them as containerd's ``platforms`` package does."""

import os
import re
from collections.abc import Sequence
from functools import cache
from typing import Final

import msgspec

from wherry.errors import InvalidParameter

_COMPONENT: Final = re.compile(r"[A-Za-z0-9_.-]+", re.ASCII)
_OS_ALIASES: Final = {"macos": "darwin"}
_KNOWN_OS: Final = frozenset(
    {"aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux", "nacl", "netbsd",
     "openbsd", "plan9", "solaris", "windows", "zos"}
)  # fmt: skip
_KNOWN_ARCHITECTURES: Final = frozenset(
    {"386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle", "ppc64", "ppc64le",
     "riscv64", "s390x", "wasm"}
)  # fmt: skip
_MACHINES: Final = {
    "x86_64": ("amd64", ""), "aarch64": ("arm64", "v8"), "armv8l": ("arm", "v8"), "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"), "armv5tel": ("arm", "v5"), "i386": ("386", ""), "i686": ("386", ""),
    "loongarch64": ("loong64", ""),
}  # fmt: skip


class InvalidPlatform(InvalidParameter):
    """Text that is not ``os[/arch[/variant]]``."""


class Platform(
    msgspec.Struct, frozen=True, rename={"os_version": "os.version", "os_features": "os.features"}, omit_defaults=True
):
    """A platform as in an index entry or an image config."""

    architecture: str = ""
    os: str = ""
    variant: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] | None = None

    def __str__(self) -> str:
        return "/".join(part for part in (self.os or "unknown", self.architecture, self.variant) if part)


def normalise(platform: Platform) -> Platform:
    """The canonical spelling: ``x86_64`` → ``amd64``, ``aarch64/v8`` → ``arm64``, ``armhf`` → ``arm/v7``."""
    system = _OS_ALIASES.get(platform.os.lower(), platform.os.lower())
    architecture, variant = _normalise_architecture(platform.architecture.lower(), platform.variant.lower())
    return Platform(architecture, system, variant, platform.os_version, platform.os_features)


def _normalise_architecture(architecture: str, variant: str) -> tuple[str, str]:
    if architecture in ("i386", "i686"):
        return "386", ""
    if architecture in ("x86_64", "x86-64", "amd64"):
        return "amd64", "" if variant == "v1" else variant
    if architecture in ("aarch64", "arm64"):
        return "arm64", "" if variant in ("8", "v8", "v8.0") else variant
    if architecture == "armhf":
        return "arm", "v7"
    if architecture == "armel":
        return "arm", "v6"
    if architecture == "arm":
        return "arm", {"": "v7", "5": "v5", "6": "v6", "7": "v7", "8": "v8"}.get(variant, variant)
    return architecture, variant


def parse(text: str) -> Platform:
    """``linux/arm64/v8``, ``linux/amd64``, or one word: an operating system or an architecture."""
    parts = text.split("/")
    for part in parts:
        if not _COMPONENT.fullmatch(part):
            raise InvalidPlatform(
                f'"{part}" is an invalid component of "{text}": '
                'platform specifier component must match "^[A-Za-z0-9_.-]+$": invalid argument'
            )
    host = host_platform()
    if len(parts) == 1:
        word = parts[0].lower()
        if _OS_ALIASES.get(word, word) in _KNOWN_OS:
            return normalise(Platform(host.architecture, word, host.variant))
        architecture, variant = _normalise_architecture(word, "")
        if architecture in _KNOWN_ARCHITECTURES:
            return Platform(architecture, host.os, variant)
        raise InvalidPlatform(f'"{text}": unknown operating system or architecture: invalid argument')
    if len(parts) > 3:
        raise InvalidPlatform(f'"{text}": cannot parse platform specifier: invalid argument')
    return normalise(Platform(parts[1], parts[0], parts[2] if len(parts) == 3 else ""))


@cache
def host_platform() -> Platform:
    """The platform of this machine, normalised."""
    machine = os.uname().machine
    architecture, variant = _MACHINES.get(machine, (machine, ""))
    return normalise(Platform(architecture, "linux", variant))


def acceptable(wanted: Platform) -> list[Platform]:
    """``wanted`` and what its processor also runs, best first: arm64 runs arm/v8, v7, v6, v5; amd64 v3 runs v2."""
    wanted = normalise(wanted)
    result = [wanted]
    if wanted.architecture == "amd64":
        level = int(wanted.variant[1:]) if re.fullmatch(r"v[2-9]", wanted.variant) else 1
        result += [Platform("amd64", wanted.os, f"v{n}" if n > 1 else "") for n in range(level - 1, 0, -1)]
        result.append(Platform("386", wanted.os))
    elif wanted.architecture == "arm64":
        if wanted.variant:
            result.append(Platform("arm64", wanted.os))
        result += [Platform("arm", wanted.os, f"v{n}") for n in (8, 7, 6, 5)]
    elif wanted.architecture == "arm" and re.fullmatch(r"v[5-8]", wanted.variant):
        result += [Platform("arm", wanted.os, f"v{n}") for n in range(int(wanted.variant[1:]) - 1, 4, -1)]
    return result


def matches(wanted: Platform, found: Platform) -> bool:
    """Whether an image for ``found`` can serve ``wanted``."""
    return _rank(acceptable(wanted), found) is not None


def best_match(wanted: Platform, candidates: Sequence[Platform | None]) -> int | None:
    """The index of the best candidate for ``wanted``, None when none fits. An earlier one wins a tie."""
    accepted = acceptable(wanted)
    ranked = [
        (rank, i)
        for i, item in enumerate(candidates)
        if item is not None and (rank := _rank(accepted, item)) is not None
    ]
    return min(ranked)[1] if ranked else None


def _rank(accepted: list[Platform], found: Platform) -> int | None:
    found = normalise(found)
    for rank, item in enumerate(accepted):
        if (item.os, item.architecture, item.variant) == (found.os, found.architecture, found.variant):
            return rank
    return None

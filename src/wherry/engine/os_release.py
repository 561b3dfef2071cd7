"""os-release(5) of the host."""

import shlex
from functools import cache

_PATHS = ("/etc/os-release", "/usr/lib/os-release")


@cache
def os_release() -> dict[str, str]:
    """The assignments; empty when the host has no such file."""
    for path in _PATHS:
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                lines = file.read().splitlines()
        except FileNotFoundError:
            continue
        result = {}
        for line in lines:
            name, separator, value = line.partition("=")
            if separator and not name.startswith("#"):
                result[name.strip()] = "".join(shlex.split(value))
        return result
    return {}

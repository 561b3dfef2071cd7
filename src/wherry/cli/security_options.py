"""``--security-opt``: the client reads a seccomp profile's file and sends its content, as Docker does."""

from wherry.client import json_codec

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SPECIAL_PROFILES = ("builtin", "unconfined")


def set_security(host: "dict[str, Any]", options: list[str]) -> None:
    """Fill SecurityOpt, MaskedPaths and ReadonlyPaths. Raises ValueError for an option without a value."""
    chosen: list[str] = []
    for option in options:
        name, mark, value = option.partition("=")
        if not mark and name != "no-new-privileges":
            name, mark, value = option.partition(":")
        if name == "no-new-privileges":
            chosen.append(option)
            continue
        if not value:
            raise ValueError(f'Invalid --security-opt: "{option}"')
        if name == "systempaths" and value == "unconfined":
            host["MaskedPaths"] = []
            host["ReadonlyPaths"] = []
            continue
        if name == "seccomp" and value not in _SPECIAL_PROFILES:
            chosen.append(f"seccomp={_read_profile(value)}")
            continue
        chosen.append(option)
    host["SecurityOpt"] = chosen


def _read_profile(path: str) -> str:
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as exc:
        raise ValueError(
            f"opening seccomp profile ({path}) failed: open {path}: {(exc.strerror or str(exc)).lower()}"
        ) from None
    try:
        return json_codec.dumps(json_codec.loads(content))
    except ValueError as exc:
        raise ValueError(f"compacting json for seccomp profile ({path}) failed: {exc}") from None

"""The ``changes`` of import and commit: single Dockerfile instructions applied to a container config."""

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from wherry.errors import InvalidParameter
from wherry.oci.image_config import ContainerConfig, Healthcheck

_SHELL: Final = ("/bin/sh", "-c")
_PORT: Final = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?(?:/(tcp|udp|sctp))?", re.ASCII | re.IGNORECASE)
_DURATION_PART: Final = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)")
_UNIT_NS: Final = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_TRIGGERS_REFUSED: Final = frozenset({"ONBUILD", "FROM", "MAINTAINER"})


class InvalidChange(InvalidParameter):
    """An instruction that is not one, or not one for ``--change``."""


def apply_changes(config: ContainerConfig, changes: Sequence[str]) -> ContainerConfig:
    """Apply each change in order; raises InvalidChange."""
    for change in changes:
        for line in change.splitlines():
            if line.strip():
                config = _apply(config, line.strip())
    return config


def _apply(config: ContainerConfig, line: str) -> ContainerConfig:
    word, _, rest = line.partition(" ")
    instruction, rest = word.upper(), rest.strip()
    if not rest:
        raise InvalidChange(f"{instruction} requires at least one argument")
    match instruction:
        case "CMD":
            return msgspec.structs.replace(config, cmd=_command(rest))
        case "ENTRYPOINT":
            return msgspec.structs.replace(config, entrypoint=_command(rest))
        case "ENV":
            return msgspec.structs.replace(config, env=_env(config.env or (), rest))
        case "EXPOSE":
            ports: dict[str, dict[str, Any]] = {port: {} for word in _words(rest) for port in _ports(word)}
            return msgspec.structs.replace(config, exposed_ports={**(config.exposed_ports or {}), **ports})
        case "LABEL":
            return msgspec.structs.replace(config, labels={**(config.labels or {}), **dict(_pairs("LABEL", rest))})
        case "ONBUILD":
            return msgspec.structs.replace(config, on_build=((*(config.on_build or ()), _trigger(rest))))
        case "USER":
            return msgspec.structs.replace(config, user=_one("USER", rest))
        case "VOLUME":
            volumes: dict[str, dict[str, Any]] = {path: {} for path in _array(rest) or _words(rest)}
            if any(not path.strip() for path in volumes):
                raise InvalidChange("VOLUME specified can not be an empty string")
            return msgspec.structs.replace(config, volumes={**(config.volumes or {}), **volumes})
        case "WORKDIR":
            return msgspec.structs.replace(config, working_dir=_workdir(config.working_dir, _unquote(rest)))
        case "HEALTHCHECK":
            return msgspec.structs.replace(config, healthcheck=_healthcheck(rest))
        case "STOPSIGNAL":
            return msgspec.structs.replace(config, stop_signal=_one("STOPSIGNAL", rest))
        case _:
            raise InvalidChange(f"{instruction} is not a valid change command")


def _array(text: str) -> tuple[str, ...] | None:
    """The JSON form, or None when it is the shell form."""
    if not text.startswith("["):
        return None
    try:
        values = json.loads(text)
    except ValueError:
        return None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        return None
    return tuple(values)


def _command(text: str) -> tuple[str, ...]:
    values = _array(text)
    return values if values is not None else (*_SHELL, text)


def _words(text: str) -> list[str]:
    """Words separated by blanks; quotes and backslashes protect blanks and are kept for ``_unquote``."""
    words: list[str] = []
    current, quote, escaped = "", "", False
    for char in text:
        if escaped:
            current, escaped = current + char, False
        elif char == "\\":
            current, escaped = current + char, True
        elif quote:
            current, quote = current + char, "" if char == quote else quote
        elif char in "\"'":
            current, quote = current + char, char
        elif char.isspace():
            words, current = ([*words, current] if current else words), ""
        else:
            current += char
    if quote:
        raise InvalidChange("unexpected end of statement while looking for matching quote")
    return [*words, current] if current else words


def _unquote(word: str) -> str:
    result, quote, position = "", "", 0
    while position < len(word):
        char = word[position]
        if char == "\\" and quote != "'" and position + 1 < len(word):
            following = word[position + 1]
            result += following if not quote or following in '"\\$' else char + following
            position += 1
        elif char in "\"'" and quote in ("", char):
            quote = "" if quote else char
        else:
            result += char
        position += 1
    return result


def _pairs(instruction: str, text: str) -> Iterator[tuple[str, str]]:
    words = _words(text)
    if "=" not in words[0]:
        key, _, value = text.partition(" ")
        if not value:
            raise InvalidChange(f"{instruction} must have two arguments")
        yield _unquote(key), _unquote(value.strip())
        return
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise InvalidChange(f"Syntax error - can't find = in {word!r}. Must be of the form: name=value")
        if not key:
            raise InvalidChange(f"{instruction} names can not be blank")
        yield _unquote(key), _unquote(value)


def _env(present: tuple[str, ...], text: str) -> tuple[str, ...]:
    result = list(present)
    for key, value in _pairs("ENV", text):
        entry = f"{key}={value}"
        position = next((i for i, item in enumerate(result) if item.partition("=")[0] == key), None)
        if position is None:
            result.append(entry)
        else:
            result[position] = entry
    return tuple(result)


def _ports(word: str) -> list[str]:
    match = _PORT.fullmatch(_unquote(word))
    first = int(match[1]) if match else 0
    last = int(match[2]) if match and match[2] else first
    if match is None or not 0 < first <= last < 65536:
        raise InvalidChange(f"invalid containerPort: {word}")
    protocol = (match[3] or "tcp").lower()
    return [f"{port}/{protocol}" for port in range(first, last + 1)]


def _trigger(text: str) -> str:
    word = text.split(None, 1)[0].upper()
    if word == "ONBUILD":
        raise InvalidChange("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")
    if word in _TRIGGERS_REFUSED:
        raise InvalidChange(f"{word} isn't allowed as an ONBUILD trigger")
    return text


def _one(instruction: str, text: str) -> str:
    words = _words(text)
    if len(words) != 1:
        raise InvalidChange(f"{instruction} requires exactly one argument")
    return _unquote(words[0])


def _workdir(present: str, path: str) -> str:
    joined = path if path.startswith("/") else f"{present or '/'}/{path}"
    parts: list[str] = []
    for part in joined.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def _healthcheck(text: str) -> Healthcheck:
    words = text.split(None, 1)
    if words[0].upper() == "NONE":
        if len(words) > 1:
            raise InvalidChange("HEALTHCHECK NONE takes no arguments")
        return Healthcheck(("NONE",))
    options: dict[str, str] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, _, value = option[2:].partition("=")
        options[name], text = value, text.strip()
    word, _, command = text.partition(" ")
    if word.upper() != "CMD":
        raise InvalidChange(f"Unknown type {word!r} in HEALTHCHECK (try CMD)")
    if not command.strip():
        raise InvalidChange("Missing command after HEALTHCHECK CMD")
    values = _array(command.strip())
    test = ("CMD", *values) if values is not None else ("CMD-SHELL", command.strip())
    known = {"interval", "timeout", "start-period", "start-interval", "retries"}
    for name in options:
        if name not in known:
            raise InvalidChange(f"unknown flag: {name}")
    retries = options.get("retries", "0")
    if not retries.isdecimal():
        raise InvalidChange(f"HEALTHCHECK: invalid --retries {retries!r}")
    return Healthcheck(
        test,
        interval=_duration_ns(options.get("interval")),
        timeout=_duration_ns(options.get("timeout")),
        start_period=_duration_ns(options.get("start-period")),
        start_interval=_duration_ns(options.get("start-interval")),
        retries=int(retries),
    )


def _duration_ns(text: str | None) -> int:
    """A Go duration, such as ``1m30s``."""
    if not text:
        return 0
    total, end = 0.0, 0
    for match in _DURATION_PART.finditer(text):
        if match.start() != end:
            break
        total += float(match[1]) * _UNIT_NS[match[2]]
        end = match.end()
    if end != len(text):
        raise InvalidChange(f"invalid duration {text!r}")
    if 0 < total < 10**6:
        raise InvalidChange(f"Interval {text!r} cannot be less than 1ms")
    return int(total)

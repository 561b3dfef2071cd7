"""``--log-driver`` and ``--log-opt``: names, values, Docker's words for wrong ones."""

import re
from collections.abc import Mapping

from wherry.errors import InvalidParameter
from wherry.logs.driver import DEFAULT_MAX_FILES, DEFAULT_MAX_SIZE_BYTES

DRIVERS = ("json-file", "local", "none")
READABLE_DRIVERS = ("json-file", "local")

_KNOWN = {
    "json-file": ("max-file", "max-size", "compress", "labels", "labels-regex", "env", "env-regex", "tag"),
    "local": ("max-file", "max-size", "compress"),
}
_UNITS = {"": 1, "b": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}


class InvalidLogOption(InvalidParameter):
    """An option that the driver knows, with a value that it cannot take."""


def parse_size(text: str) -> int:
    """``10m``, ``1.5g``, ``100kb``, ``512KiB`` → bytes (go-units ``RAMInBytes``); -1 is no limit.

    Raises InvalidParameter ``invalid size: 'x'``.
    """
    if text.strip() == "-1":
        return -1
    match = re.fullmatch(r"(\d+(?:\.\d+)*) ?([kmgtp]?)(?:i?b)?", text.strip().lower())
    if match is None:
        raise InvalidParameter(f"invalid size: '{text}'")
    return int(float(match[1]) * _UNITS[match[2]])


def validate(driver: str, options: Mapping[str, str]) -> dict[str, int | str]:
    """The start request's ``log`` object without its path: ``driver``, ``max_size`` (bytes), ``max_files``.

    Raises InvalidParameter in Docker's words.
    """
    if driver not in DRIVERS:
        raise InvalidParameter(f"logger: no log driver named '{driver}' is registered")
    if driver == "none":
        return {"driver": driver}
    for key in options:
        if key not in _KNOWN[driver]:
            words = "json-file log driver" if driver == "json-file" else f"log driver {driver}"
            raise InvalidParameter(f"unknown log opt '{key}' for {words}")
    max_size = DEFAULT_MAX_SIZE_BYTES
    if "max-size" in options:
        max_size = _size_option(options["max-size"])
        if max_size == 0 or max_size < -1:
            raise InvalidLogOption("max-size must be a positive number")
    max_files = DEFAULT_MAX_FILES
    if "max-file" in options:
        try:
            max_files = int(options["max-file"])
        except ValueError as exc:
            raise InvalidLogOption(f'strconv.Atoi: parsing "{options["max-file"]}": invalid syntax') from exc
        if max_files < 1:
            raise InvalidLogOption("max-file cannot be less than 1")
    if _boolean(options.get("compress", "false")):
        raise InvalidParameter(
            "compress is not supported by wherry's log drivers", hint="Leave out --log-opt compress."
        )
    return {"driver": driver, "max_size": max_size, "max_files": max_files}


def select_attributes(
    options: Mapping[str, str], *, labels: Mapping[str, str], environment: Mapping[str, str], tag: str = ""
) -> dict[str, str]:
    """The ``attrs`` of json-file: what the options ``labels``, ``labels-regex``, ``env``, ``env-regex`` and ``tag``
    choose; the template of ``tag`` is expanded by the caller."""
    attributes: dict[str, str] = {}
    for names, pattern, source in (("labels", "labels-regex", labels), ("env", "env-regex", environment)):
        for name in options.get(names, "").split(","):
            if name in source:
                attributes[name] = source[name]
        if options.get(pattern):
            try:
                expression = re.compile(options[pattern])
            except re.error as exc:
                raise InvalidParameter(f"invalid {pattern} {options[pattern]!r}: {exc}") from exc
            attributes.update({name: value for name, value in source.items() if expression.search(name)})
    if tag:
        attributes["tag"] = tag
    return attributes


def _boolean(text: str) -> bool:
    lowered = text.lower()
    if lowered in ("1", "t", "true"):
        return True
    if lowered in ("0", "f", "false"):
        return False
    raise InvalidParameter(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def _size_option(text: str) -> int:
    try:
        return parse_size(text)
    except InvalidParameter as exc:
        raise InvalidLogOption(exc.message) from exc

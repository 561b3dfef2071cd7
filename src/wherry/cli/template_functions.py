"""The functions that Docker's templates know: Go's own, and json, split, join, title, lower, upper, pad, truncate."""

import re
from collections.abc import Callable
from typing import Any

from wherry.cli.output import Record
from wherry.cli.template_lexer import TemplateError
from wherry.cli.text import go_quote
from wherry.cli.typed_nils import NilMap, NilPointer, NilSlice
from wherry.client import json_codec


def show(value: Any) -> str:
    """A value as Go's ``%v`` prints it."""
    if value is None:
        return "<no value>"
    if isinstance(value, NilPointer):
        return "<nil>"
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_inner(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(_inner(item) for item in value) + "]"
    if isinstance(value, float):
        return _float(value)
    return str(value)


def _inner(value: Any) -> str:
    return "<nil>" if value is None else show(value)


def _float(value: float) -> str:
    """Go's ``%v`` of a float64: shortest digits, exponent from 1e+21."""
    if value != value or value in (float("inf"), float("-inf")):
        return "NaN" if value != value else "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def truth(value: Any) -> bool:
    """Go's notion of a non-empty value."""
    return bool(value)


def compact_json(value: Any) -> str:
    """Go's encoding/json without HTML escapes: no blanks."""
    return _encode(value)


def _encode(value: Any) -> str:
    if isinstance(value, (NilSlice, NilMap, NilPointer)):
        return "null"
    if isinstance(value, Record):
        # Docker's rows marshal themselves, with the HTML escapes that Go has by default.
        text = _encode({name: item for name, item in value.items() if not callable(item)})
        return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")
    if isinstance(value, dict):
        return "{" + ",".join(f"{_string(str(key))}:{_encode(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ",".join(map(_encode, value)) + "]"
    return _string(value) if isinstance(value, str) else json_codec.dumps(value)


def _string(text: str) -> str:
    """Go leaves what is beyond ASCII as it is."""
    escaped = "".join(_ESCAPED.get(char) or (char if char >= " " else f"\\u{ord(char):04x}") for char in text)
    return f'"{escaped}"'


_ESCAPED = {
    '"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f",
    "\u2028": "\\u2028", "\u2029": "\\u2029",
}  # fmt: skip


def index(value: Any, *keys: Any) -> Any:
    for key in keys:
        if value is None:
            raise TemplateError("index of untyped nil")
        if isinstance(value, dict):
            value = value[str(key)] if str(key) in value else _zero_of(value)
        elif isinstance(value, (list, tuple, str)):
            if not isinstance(key, int):
                raise TemplateError(f"cannot index slice/array with type {type(key).__name__}")
            if not 0 <= key < len(value):
                raise TemplateError(f"index out of range: {key}")
            value = ord(value[key]) if isinstance(value, str) else value[key]
        else:
            raise TemplateError(f"can't index item of type {type(value).__name__}")
    return value


def _zero_of(mapping: dict[str, Any]) -> Any:
    """What Go finds under a key that is not there: the zero value of the map's type, told from what is there."""
    if all(isinstance(item, str) for item in mapping.values()):
        return ""
    return NilSlice() if all(item is None or isinstance(item, list) for item in mapping.values()) else None


def _slice(value: Any, *bounds: int) -> Any:
    start = bounds[0] if bounds else 0
    end = bounds[1] if len(bounds) > 1 else len(value)
    if not 0 <= start <= end <= len(value):
        raise TemplateError(f"index out of range: {end}")
    return value[start:end]


def _length(value: Any) -> int:
    if value is None:
        raise TemplateError("len of nil pointer")
    if not isinstance(value, (str, list, tuple, dict)):
        raise TemplateError(f"len of type {type(value).__name__}")
    return len(value.encode()) if isinstance(value, str) else len(value)


def _comparable(left: Any, right: Any) -> None:
    numbers = (int, float)
    if isinstance(left, bool) != isinstance(right, bool) or not (
        (isinstance(left, str) and isinstance(right, str))
        or (isinstance(left, numbers) and isinstance(right, numbers))
        or left is None
        or right is None
    ):
        raise TemplateError("incompatible types for comparison")


def _equal(left: Any, *others: Any) -> bool:
    for other in others:
        _comparable(left, other)
        if left == other:
            return True
    return False


def _printf(pattern: str, *values: Any) -> str:
    queue = list(values)

    def verb(match: "re.Match[str]") -> str:
        flags, width, precision, letter = match[1], match[2], match[3], match[4]
        if letter == "%":
            return "%"
        if not queue:
            return f"%!{letter}(MISSING)"
        return _verb(flags, width, precision, letter, queue.pop(0))

    text = re.sub(r"%([-+ #0]*)(\d*)(?:\.(\d+))?([a-zA-Z%])", verb, pattern)
    if queue:
        text += "%!(EXTRA " + ", ".join(f"{type(item).__name__}={show(item)}" for item in queue) + ")"
    return text


def _verb(flags: str, width: str, precision: str | None, letter: str, value: Any) -> str:
    if letter in "vs":
        text = show(value)
        if precision and letter == "s":
            text = text[: int(precision)]
    elif letter == "q":
        text = go_quote(show(value))
    elif letter == "t":
        text = show(value)
    elif letter in "dxXob" and isinstance(value, int):
        text = format(value, letter)
        if "+" in flags and value >= 0:
            text = "+" + text
    elif letter in "xX" and isinstance(value, str):
        text = value.encode().hex()
    elif letter in "feEgG" and isinstance(value, (int, float)):
        text = format(float(value), f".{precision or 6}{letter}")
    elif letter == "T":
        text = type(value).__name__
    else:
        return f"%!{letter}({type(value).__name__}={show(value)})"
    if width:
        fill = "0" if "0" in flags and "-" not in flags and letter in "dxXobfeEgG" else " "
        text = text.ljust(int(width)) if "-" in flags else text.rjust(int(width), fill)
    return text


def _print(*values: Any) -> str:
    """Go's Sprint: a blank between operands when neither is a string."""
    text = ""
    for position, value in enumerate(values):
        if position and not isinstance(value, str) and not isinstance(values[position - 1], str):
            text += " "
        text += show(value)
    return text


def _title(text: str) -> str:
    return re.sub(r"\b(\w)", lambda match: match[1].upper(), text)


def _truncate(text: str, length: int) -> str:
    return text if len(text) < length else text[:length]


def _html(*values: Any) -> str:
    text = _print(*values)
    for char, name in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&#34;"), ("'", "&#39;")):
        text = text.replace(char, name)
    return text


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "json": compact_json,
    "split": lambda text, separator: text.split(separator),
    "join": lambda items, separator: separator.join(map(str, items)),
    "title": _title,
    "lower": lambda text: str(text).lower(),
    "upper": lambda text: str(text).upper(),
    "pad": lambda text, before, after: " " * before + text + " " * after if text else text,
    "truncate": _truncate,
    "println": lambda *values: " ".join(map(show, values)) + "\n",
    "print": _print,
    "printf": _printf,
    "len": _length,
    "index": index,
    "slice": _slice,
    "eq": _equal,
    "ne": lambda left, right: not _equal(left, right),
    "lt": lambda left, right: left < right,
    "le": lambda left, right: left <= right,
    "gt": lambda left, right: left > right,
    "ge": lambda left, right: left >= right,
    "not": lambda value: not truth(value),
    "html": _html,
}

"""JSON from strangers: bounded, unambiguous, typed.

Two parsers that read one document differently are an attack (CVE-2021-41190), so what other parsers could
read differently is refused: duplicate keys, keys that differ from a known field only by case (Go's
``encoding/json`` takes ``Layers`` for ``layers``), numbers beyond 64 bits, NaN (S04). Size and depth are
bounded before anything is built (S05).
"""

import json
import re
from collections.abc import Hashable
from functools import cache
from typing import Any, Final, TypeVar, cast

import msgspec
import msgspec.inspect

from wherry.errors import InvalidParameter

MAX_DOCUMENT_BYTES: Final = 4 << 20
MAX_DEPTH: Final = 64

T = TypeVar("T")

_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[{]|[\]}]', re.DOTALL)


class InvalidDocument(InvalidParameter):
    """A JSON document that breaks the limits, is ambiguous, or has the wrong shape."""


def decode(data: bytes, type_: type[T], *, what: str) -> T:
    """Decode ``data`` into ``type_`` (a msgspec struct); ``what`` names the document in errors.

    Unknown fields are ignored, as the OCI specification wants. Raises InvalidDocument.
    """
    document = decode_any(data, what=what)
    _check_case(document, _shape(cast(Hashable, type_)), what)
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as exc:
        raise InvalidDocument(f"decode {what}: {exc}") from exc


def decode_any(data: bytes, *, what: str) -> Any:
    """Decode into plain objects under the same limits, duplicate keys refused."""
    if len(data) > MAX_DOCUMENT_BYTES:
        raise InvalidDocument(f"decode {what}: larger than {MAX_DOCUMENT_BYTES} bytes")
    _check_depth(data, what)
    try:
        return _DECODER.decode(data.decode("utf-8"))
    except (ValueError, RecursionError) as exc:
        raise InvalidDocument(f"decode {what}: {exc}") from exc


def encode(value: Any) -> bytes:
    """Encode a struct or plain objects: compact, in field order."""
    return msgspec.json.encode(value)


def _check_depth(data: bytes, what: str) -> None:
    depth = 0
    for match in _TOKENS.finditer(data):
        first = data[match.start()]
        if first in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise InvalidDocument(f"decode {what}: nested deeper than {MAX_DEPTH} levels")
        elif first in b"]}":
            depth -= 1


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ValueError(f"duplicate key {key[:100]!r}")
            seen.add(key)
    return result


def _integer(text: str) -> int:
    if len(text) > 20 or not -(1 << 63) <= (value := int(text)) < 1 << 64:
        raise ValueError(f"number out of range: {text[:24]}")
    return value


def _float(text: str) -> float:
    value = float(text) if len(text) <= 64 else float("inf")
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"number out of range: {text[:24]}")
    return value


def _constant(text: str) -> float:
    raise ValueError(f"not a JSON number: {text}")


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_unique, parse_int=_integer, parse_float=_float, parse_constant=_constant
)


class _Shape:
    """Where the known field names of a type are: fields of structs, items of lists and mappings."""

    __slots__ = ("fields", "item")

    def __init__(self) -> None:
        self.fields: dict[str, tuple[str, _Shape | None]] = {}  # casefolded → (wire name, shape)
        self.item: _Shape | None = None


@cache
def _shape(type_: Hashable) -> _Shape | None:
    return _shape_of(msgspec.inspect.type_info(type_))


def _shape_of(info: msgspec.inspect.Type) -> _Shape | None:
    shape = _Shape()
    if isinstance(info, msgspec.inspect.StructType):
        for field in info.fields:
            shape.fields[field.encode_name.casefold()] = (field.encode_name, _shape_of(field.type))
        return shape
    if isinstance(info, msgspec.inspect.CollectionType):
        shape.item = _shape_of(info.item_type)
    elif isinstance(info, msgspec.inspect.DictType):
        shape.item = _shape_of(info.value_type)
    elif isinstance(info, msgspec.inspect.UnionType):
        return next((found for item in info.types if (found := _shape_of(item)) is not None), None)
    return shape if shape.item is not None else None


def _check_case(value: Any, shape: _Shape | None, what: str) -> None:
    if shape is None:
        return
    if isinstance(value, list):
        for item in value:
            _check_case(item, shape.item, what)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not shape.fields:
                _check_case(item, shape.item, what)
                continue
            name, inner = shape.fields.get(key.casefold(), (key, None))
            if name != key:
                raise InvalidDocument(f"decode {what}: key {key[:100]!r} is a case variant of {name!r}")
            _check_case(item, inner, what)

"""JSON for the client's hot path: the standard library's C scanner and encoder without its Python half.

``import json`` costs 4 ms (it pulls in re and enum), a tenth of a whole ``wherry run``. The C accelerator
``_json`` holds everything that strict JSON needs. It is CPython's private module, so where it is missing or
different the public one is used.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    loads: Callable[[str | bytes], Any]
    dumps: Callable[[Any], str]


class _ScannerContext:
    """What ``_json.make_scanner`` reads its options from."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = float
    memo: "dict[str, str]" = {}


def _accelerated() -> "tuple[Callable[[str | bytes], Any], Callable[[Any], str]]":
    import _json

    scan: Callable[[str, int], tuple[Any, int]] = _json.make_scanner(_ScannerContext())  # type: ignore[arg-type]
    blanks = " \t\n\r"

    def reject(value: object) -> object:
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    encode = _json.make_encoder(None, reject, _json.encode_basestring_ascii, None, ": ", ", ", False, False, False)

    def loads(text: "str | bytes") -> "Any":
        if isinstance(text, bytes):
            text = text.decode("utf-8", "surrogateescape")
        text = text.strip(blanks)
        try:
            value, end = scan(text, 0)
        except StopIteration as exc:
            raise ValueError(f"invalid JSON at offset {exc.value}") from None
        if end != len(text):
            raise ValueError(f"invalid JSON: extra data at offset {end}")
        return value

    def dumps(value: "Any") -> str:
        return "".join(encode(value, 0))

    dumps({"probe": [1, None, True]})
    return loads, dumps


try:
    loads, dumps = _accelerated()
except (ImportError, AttributeError, TypeError):
    from json import dumps as dumps
    from json import loads as loads

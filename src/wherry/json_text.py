"""JSON as text, by the C half of the standard library's json: its Python half costs 4 ms to import (re, enum).

For documents of ``wherry-runtime``; where the C half is missing or another one, the json module does the work.
"""

from __future__ import annotations

from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from json import dumps as dumps
    from json import loads as loads
    from typing import Any
else:
    try:
        from _json import encode_basestring_ascii, make_encoder, make_scanner

        class _Settings:
            """json.JSONDecoder's attributes that the scanner reads."""

            strict = True
            object_hook = object_pairs_hook = None
            parse_float, parse_int = float, int

            @staticmethod
            def parse_constant(name: str) -> Any:
                raise ValueError(f"{name} is not JSON")

        def _refuse(value: object) -> Any:
            raise TypeError(f"{type(value).__name__} is not JSON")

        _scan = make_scanner(_Settings)
        _encode = make_encoder(None, _refuse, encode_basestring_ascii, None, ": ", ", ", False, False, False)
    except (ImportError, TypeError, AttributeError):
        from json import dumps, loads
    else:
        _SPACE = " \t\n\r"

        def loads(text: str) -> Any:
            """The document in ``text``. Raises ValueError with the position of what is wrong."""
            try:
                document, end = _scan(text, len(text) - len(text.lstrip(_SPACE)))
                if not text[end:].strip(_SPACE):
                    return document
            except (StopIteration, SystemError):
                pass  # an error that the scanner cannot raise unless json is loaded
            import json

            return json.loads(text)  # says what is wrong and where

        def dumps(document: Any) -> str:
            """``document`` in one line of ASCII. Raises TypeError, or ValueError for a number that JSON lacks."""
            return "".join(_encode(document, 0))

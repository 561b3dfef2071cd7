"""Points in time as clients write them: ``1136073600.000000001`` (Unix seconds), RFC 3339 on the side.

The docker CLI turns ``--since 10m`` into Unix seconds itself; other clients send RFC 3339.
"""

import re
from datetime import datetime

from wherry.errors import InvalidParameter

_UNIX = re.compile(r"(-?\d{1,15})(?:\.(\d{1,9}))?")


def parse_timestamp_ns(text: str) -> int | None:
    """Nanoseconds since 1970; None for an empty text. InvalidParameter in Docker's words otherwise."""
    if not text:
        return None
    if match := _UNIX.fullmatch(text):
        return int(match[1]) * 1_000_000_000 + int((match[2] or "").ljust(9, "0"))
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidParameter(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    return int(moment.timestamp()) * 1_000_000_000 + moment.microsecond * 1000

"""Times in filters and log queries, as Docker reads them: Unix seconds, RFC 3339, or a Go duration back from now."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from wherry.errors import InvalidParameter

_UNITS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+\Z")
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?\Z")


def until_ns(values: Sequence[str], now_ns: int) -> int | None:
    """The one ``until`` of a prune filter; None when there is none."""
    if not values:
        return None
    if len(values) > 1:
        raise InvalidParameter("more than one until filter specified")
    return parse_time_ns(values[0], now_ns)


def parse_time_ns(text: str, now_ns: int) -> int:
    """Unix nanoseconds."""
    match = _SECONDS.match(text)
    if match:
        return int(match[1]) * 10**9 + int((match[2] or "").ljust(9, "0"))
    if _DURATION.match(text):
        return now_ns - int(sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text)))
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as exc:
        raise InvalidParameter(f'failed to parse value as time or duration: "{text}"') from exc
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return int(moment.timestamp()) * 10**9 + moment.microsecond * 1000

"""Whole answers: a status, a body that fits in memory, and the headers that Docker's clients look at."""

import time
from dataclasses import dataclass
from typing import Any

import msgspec

from wherry import __version__

Headers = tuple[tuple[str, str], ...]

API_VERSION = (1, 51)
MIN_API_VERSION = (1, 24)

COMMON_HEADERS: Headers = (
    ("Api-Version", f"{API_VERSION[0]}.{API_VERSION[1]}"),
    ("Docker-Experimental", "false"),
    ("Ostype", "linux"),
    ("Server", f"Wherry/{__version__} (linux)"),
)

JSON = "application/json"
RAW_STREAM = "application/vnd.docker.raw-stream"
MULTIPLEXED_STREAM = "application/vnd.docker.multiplexed-stream"
TAR = "application/x-tar"


@dataclass(frozen=True, slots=True)
class Response:
    """An answer that is sent at once. ``content_type`` empty leaves the header out."""

    status: int = 200
    body: bytes = b""
    content_type: str = ""
    headers: Headers = ()


NO_CONTENT = Response(204)


def json_response(value: Any, *, status: int = 200, headers: Headers = ()) -> Response:
    """``value`` (plain or msgspec) as JSON with the line end that Docker's encoder writes."""
    return Response(status, msgspec.json.encode(value) + b"\n", JSON, headers)


def text_response(text: str, *, status: int = 200, headers: Headers = ()) -> Response:
    """A plain text answer."""
    return Response(status, text.encode(), "text/plain; charset=utf-8", headers)


_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def http_date() -> str:
    """Now, as RFC 9110 wants it; independent of the locale, without email.utils (8 ms of import)."""
    now = time.gmtime()
    return (
        f"{_DAYS[now.tm_wday]}, {now.tm_mday:02d} {_MONTHS[now.tm_mon - 1]} {now.tm_year} "
        f"{now.tm_hour:02d}:{now.tm_min:02d}:{now.tm_sec:02d} GMT"
    )

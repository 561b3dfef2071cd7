"""Errors on the wire: the only place that knows status codes (moby ``httpstatus``)."""

import h11
import msgspec

from wherry.errors import (
    Conflict,
    Forbidden,
    InvalidParameter,
    NotFound,
    NotModified,
    System,
    Unauthorized,
    Unavailable,
    Unimplemented,
    WherryError,
)

_STATUS: dict[type[WherryError], int] = {
    NotModified: 304,
    InvalidParameter: 400,
    Unauthorized: 401,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    System: 500,
    Unimplemented: 501,
    Unavailable: 503,
}


class PayloadTooLarge(InvalidParameter):
    """A JSON body over the limit (413)."""


class HeadersTooLarge(InvalidParameter):
    """A request head over the limit (431)."""


class RequestTimeout(InvalidParameter):
    """The client took too long to send a head or a JSON body (408)."""


class TooManyConnections(Unavailable):
    """The connection cap is reached (503)."""


class ClientGone(ConnectionError):
    """The client closed its connection; there is nobody left to answer."""


_STATUS |= {PayloadTooLarge: 413, HeadersTooLarge: 431, RequestTimeout: 408}


def status_of(error: BaseException) -> int:
    """The HTTP status of an error: by its nearest known kind, 500 for a bug."""
    for kind in type(error).__mro__:
        if kind in _STATUS:
            return _STATUS[kind]
    return 500


def message_of(error: BaseException) -> str:
    """What the client reads. A bug's text stays in the log, its type and message suffice here."""
    if isinstance(error, WherryError):
        return error.message
    return f"{type(error).__name__}: {error}"


def error_body(message: str) -> bytes:
    """Docker's error object, with the line end that its encoder writes."""
    return msgspec.json.encode({"message": message}) + b"\n"


def protocol_error(error: h11.RemoteProtocolError) -> WherryError:
    """h11's complaint about a request's framing as one of our kinds."""
    if error.error_status_hint == 431:
        return HeadersTooLarge("Request Header Fields Too Large")
    what = str(error).partition(": bytearray")[0]  # do not send the client's bytes back
    if error.error_status_hint == 501:
        return Unimplemented(f"read request: {what}")
    return InvalidParameter(f"read request: {what}")

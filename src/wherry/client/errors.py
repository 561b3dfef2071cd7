"""What an engine's answer turns into: the status chooses the kind (moby's ``httpstatus`` backwards)."""

from wherry.client import json_codec
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


class ConnectionFailed(Unavailable):
    """No engine answers at the address."""


class ConnectionLost(Unavailable):
    """The engine went away in the middle of an answer."""


_KINDS: dict[int, type[WherryError]] = {
    304: NotModified,
    400: InvalidParameter,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    501: Unimplemented,
    503: Unavailable,
}


def error_of_answer(status: int, reason: str, body: bytes) -> WherryError:
    """The exception for an answer with ``status`` >= 300. The message is the engine's own, unadorned."""
    message = ""
    try:
        document = json_codec.loads(body)
        if isinstance(document, dict):
            message = str(document.get("message", ""))
    except ValueError:
        # Not JSON: a proxy's page, or an engine before API 1.24 with plain text.
        message = body.decode("utf-8", "replace").strip()
    return _KINDS.get(status, System)(message or f"{status} {reason}")

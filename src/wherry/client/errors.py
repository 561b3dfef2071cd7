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


class EngineError(WherryError):
    """The engine answered with an error: the message is its own. Always one of the kinds as well."""


class EngineNotFound(EngineError, NotFound):
    """404."""


class EngineInvalidParameter(EngineError, InvalidParameter):
    """400."""


class EngineConflict(EngineError, Conflict):
    """409."""


class EngineNotModified(EngineError, NotModified):
    """304."""


class EngineUnauthorized(EngineError, Unauthorized):
    """401."""


class EngineForbidden(EngineError, Forbidden):
    """403."""


class EngineUnavailable(EngineError, Unavailable):
    """503."""


class EngineUnimplemented(EngineError, Unimplemented):
    """501."""


class EngineFault(EngineError, System):
    """500, and whatever has no kind of its own."""


_KINDS: dict[int, type[EngineError]] = {
    304: EngineNotModified,
    400: EngineInvalidParameter,
    401: EngineUnauthorized,
    403: EngineForbidden,
    404: EngineNotFound,
    409: EngineConflict,
    501: EngineUnimplemented,
    503: EngineUnavailable,
}


def error_of_answer(status: int, reason: str, body: bytes) -> EngineError:
    """The exception for an answer with ``status`` >= 300. The message is the engine's own, unadorned."""
    message = ""
    try:
        document = json_codec.loads(body)
        if isinstance(document, dict):
            message = str(document.get("message", ""))
    except ValueError:
        # Not JSON: a proxy's page, or an engine before API 1.24 with plain text.
        message = body.decode("utf-8", "replace")
    return _KINDS.get(status, EngineFault)(message.strip() or f"{status} {reason}")

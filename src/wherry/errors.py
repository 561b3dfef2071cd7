"""The kinds of error, one to one with HTTP (moby ``errdefs``). Only ``api/errors.py`` knows status codes.

A concrete error is a subclass that lives beside the code that raises it. A message reads verb, object,
cause, without "failed to"; the hint is the remedy, one sentence, shown on its own line by the CLI.
"""


class WherryError(Exception):
    """Base of every expected error: one line for the user, no traceback."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return self.message


class NotFound(WherryError):
    """The named thing does not exist (404)."""


class InvalidParameter(WherryError):
    """The request itself is wrong: syntax, range, combination (400)."""


class Conflict(WherryError):
    """The request contradicts the present state: a name in use, a running container (409)."""


class NotModified(WherryError):
    """The thing is already as the request wants it (304)."""


class Unauthorized(WherryError):
    """Credentials are missing or wrong (401)."""


class Forbidden(WherryError):
    """Understood and refused (403)."""


class Unavailable(WherryError):
    """A service that is needed does not answer now (503)."""


class Unimplemented(WherryError):
    """The API knows it, this engine or this kernel does not do it (501)."""


class System(WherryError):
    """Something in the engine or the kernel went wrong (500)."""

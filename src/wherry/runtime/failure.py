"""What goes wrong between a bundle and a running process, in runc's words (clients match them)."""

from wherry.errors import InvalidParameter, System


class RuntimeFailure(System):
    """A container or a process in it could not be set up.

    ``exit_code`` is what Docker's clients exit with: 127 (not found), 126 (found but cannot run), else 125.
    """

    def __init__(self, message: str, *, exit_code: int = 125, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = exit_code


class StartFailed(RuntimeFailure):
    """execve itself failed, after everything else was set up."""


class SpecInvalid(InvalidParameter):
    """config.json asks for something that cannot be, or that would break out of the container."""

"""How a command ends other than well: a message for stderr and an exit code."""

from wherry.errors import WherryError


class CommandFailed(WherryError):
    """``message`` goes to stderr as it is (empty: nothing is printed), ``code`` is the exit code."""

    def __init__(self, message: str, *, code: int = 1, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.code = code


class FlagError(WherryError):
    """The command line does not parse: exit code 125 and the usage line, as Docker."""


class HelpWanted(Exception):
    """``--help`` was given. ``deprecated`` says that it was given as ``-h``."""

    def __init__(self, *, deprecated: bool) -> None:
        super().__init__()
        self.deprecated = deprecated


def describe(exc: WherryError) -> str:
    """The message, marked as the engine's where it is (Docker's wording)."""
    from wherry.client.errors import EngineError

    return f"Error response from daemon: {exc.message}" if isinstance(exc, EngineError) else exc.message

"""What a command of ``wherry-runtime`` is: its options, its positionals, and a function that runs it."""

from __future__ import annotations

from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime.options import Arguments, Option

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

Warn: TypeAlias = "Callable[[str], None]"


class GlobalOptions(NamedTuple):
    """The options before the command."""

    root: str
    log: str
    log_format: str
    debug: bool


class Command(NamedTuple):
    """``run`` gets the global options, the parsed ones, and where warnings go; it returns the exit status."""

    run: Callable[[GlobalOptions, Arguments, Warn], int]
    options: tuple[Option, ...] = ()
    positionals: tuple[str, ...] = ("container-id",)
    rest: str = ""
    failure_status: int = 1

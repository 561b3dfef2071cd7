"""What a command of ``wherry-runtime`` is: an options object, a function that adds arguments, one that runs."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class GlobalOptions:
    """The options before the command."""

    root: str
    log: str
    log_format: str
    debug: bool


class Arguments(argparse.Namespace):
    """Parsed options, with typed access."""

    def text(self, name: str) -> str:
        """A string; empty when not given."""
        return str(getattr(self, name) or "")

    def optional(self, name: str) -> str | None:
        """A string, or None when not given."""
        value = getattr(self, name)
        return None if value is None else str(value)

    def flag(self, name: str) -> bool:
        """Whether a switch is on."""
        return bool(getattr(self, name))

    def number(self, name: str) -> int:
        """An integer."""
        return int(getattr(self, name) or 0)

    def words(self, name: str) -> list[str]:
        """What a repeatable option or the rest collected."""
        value: list[Any] = getattr(self, name) or []
        return [str(word) for word in value]


@dataclass(frozen=True, slots=True)
class Command:
    """``run`` gets the global options, the parsed ones, and where warnings go; it returns the exit status."""

    summary: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[GlobalOptions, Arguments, Callable[[str], None]], int]
    failure_status: int = 1


def add_container_id(parser: argparse.ArgumentParser) -> None:
    """The one positional that nearly every command has."""
    parser.add_argument("container_id", metavar="container-id")

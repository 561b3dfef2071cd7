"""Help texts as Docker's CLI prints them (cobra's template, pflag's ``FlagUsagesWrapped``). Not on the hot path."""

import os
import sys

from wherry.cli.command import Command
from wherry.cli.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def command_help(command: Command, path: str) -> str:
    """The whole ``--help`` of a command."""
    parts = [_usage_lines(command.usage, path), command.long or command.short]
    if command.aliases:
        parts.append("Aliases:\n  " + ", ".join(f"wherry {alias}" for alias in command.aliases))
    if any(not option.hidden for option in command.options):
        parts.append("Options:\n" + option_help(command.options))
    return "\n\n".join(parts) + "\n"


def _usage_lines(usage: str, path: str) -> str:
    first, *more = usage.split("\n")
    return "\n".join([f"Usage:  wherry {path} {first}".rstrip(), *(f"\twherry {path} {line}" for line in more)])


def flag_error(command: Command, path: str, message: str) -> str:
    """What is printed for a command line that does not parse."""
    return f"{message}\n\n{_usage_lines(command.usage, path)}\n\nRun 'wherry {path} --help' for more information"


def group_help(name: str, short: str, rows: "Sequence[tuple[str, str]]") -> str:
    """The help of ``wherry container`` and its like."""
    return (
        f"Usage:  wherry {name} COMMAND\n\n{short}\n\nCommands:\n{columns(rows)}\n\n"
        f"Run 'wherry {name} COMMAND --help' for more information on a command.\n"
    )


def columns(rows: "Sequence[tuple[str, str]]") -> str:
    """Command names padded to Docker's 11 columns."""
    return "\n".join(f"  {name:<11} {short}".rstrip() for name, short in rows)


def option_help(options: "Sequence[Option]") -> str:
    """The lines of an option table, wrapped to the terminal (80 columns without one)."""
    width = _terminal_width() - 1
    lines: list[tuple[str, str]] = []
    for option in sorted(options, key=lambda item: item.name):
        if option.hidden:
            continue
        head = f"  -{option.short}, --{option.name}" if option.short else f"      --{option.name}"
        lines.append((head + (f" {option.metavar}" if option.metavar else ""), option.help))
    longest = max(len(head) for head, _ in lines) + 1
    return "\n".join(
        f"{head}{' ' * (longest - len(head))}  {_wrap(longest + 2, width, text)}" for head, text in lines
    )


def _terminal_width() -> int:
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _wrap(indent: int, width: int, text: str) -> str:
    """pflag's ``wrap``: hanging indent, no orphan of fewer than 5 columns on the last line."""
    room = width - indent
    result = ""
    if room < 24:
        indent = 16
        room = width - indent
        result = "\n" + " " * indent
    if room < 24:
        return text.replace("\n", result or "\n")
    slop = 5
    room -= slop
    margin = "\n" + " " * indent
    piece, text = _cut(room, slop, text)
    result += piece.replace("\n", margin)
    while text:
        piece, text = _cut(room, slop, text)
        result += margin + piece.replace("\n", margin)
    return result


def _cut(room: int, slop: int, text: str) -> tuple[str, str]:
    if room + slop > len(text):
        return text, ""
    blank = max(text.rfind(char, 0, room) for char in " \t\n")
    if blank <= 0:
        return text, ""
    newline = text.rfind("\n", 0, room)
    if 0 < newline < blank:
        return text[:newline], text[newline + 1 :]
    return text[:blank], text[blank + 1 :]

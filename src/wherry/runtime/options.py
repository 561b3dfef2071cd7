"""Command line options in the manner of runc's (Go's flag package): ``-x``, ``--x``, ``--x=value``, ``--x value``.

Own code because argparse costs 7 ms of a command's 50, and reads ``-bundle`` as ``-b undle``.
"""

from __future__ import annotations

from wherry.errors import InvalidParameter
from wherry.record import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Option(NamedTuple):
    """``name`` as it is written. A ``flag`` takes no value; a repeatable one collects its values."""

    name: str
    help: str
    short: str = ""
    flag: bool = False
    repeatable: bool = False
    default: str = ""


class Arguments:
    """What was given on a command line, by option name and positional name."""

    def __init__(self, values: Mapping[str, list[str]]) -> None:
        self._values = values

    def optional(self, name: str) -> str | None:
        """The value, the last one if there are several; None when not given and without a default."""
        given = self._values.get(name)
        return given[-1] if given else None

    def text(self, name: str) -> str:
        """The value; empty when not given."""
        return self.optional(name) or ""

    def flag(self, name: str) -> bool:
        """Whether a switch is on."""
        return self.text(name) == "true"

    def number(self, name: str) -> int:
        """An integer, 0 when not given. Raises InvalidParameter."""
        text = self.text(name)
        try:
            return int(text or "0")
        except ValueError:
            raise InvalidParameter(f'invalid value "{text}" for flag -{name}: parse error') from None

    def words(self, name: str) -> list[str]:
        """What a repeatable option or the rest collected."""
        return list(self._values.get(name) or ())


class HelpRequested(Exception):
    """``--help`` was given."""


def parse(
    options: Sequence[Option], arguments: Sequence[str], *, positionals: Sequence[str] = (), rest: str = ""
) -> Arguments:
    """Sort the arguments out. With ``rest`` the first positional ends the options, else they may follow it.

    A positional whose name ends in ``?`` may be missing. Raises InvalidParameter with Go's wording, HelpRequested.
    """
    known = {spelling: option for option in options for spelling in (option.name, option.short) if spelling}
    values: dict[str, list[str]] = {option.name: [option.default] for option in options if option.default}
    given: list[str] = []
    waiting = list(arguments)
    while waiting:
        word = waiting.pop(0)
        if word == "--":
            given += waiting
            break
        if not word.startswith("-") or word == "-":
            given.append(word)
            if rest and len(given) >= len(positionals):
                given += waiting
                break
            continue
        name, equals, value = word.lstrip("-").partition("=")
        if name in ("help", "h") and name not in known:
            raise HelpRequested
        option = known.get(name)
        if option is None:
            raise InvalidParameter(f"flag provided but not defined: -{name}")
        if option.flag:
            value = value.lower() if equals else "true"
        elif not equals:
            if not waiting:
                raise InvalidParameter(f"flag needs an argument: -{name}")
            value = waiting.pop(0)
        values[option.name] = [*values.get(option.name, []), value] if option.repeatable else [value]
    return Arguments({**values, **_name_positionals(given, positionals, rest)})


def _name_positionals(given: list[str], positionals: Sequence[str], rest: str) -> dict[str, list[str]]:
    needed = sum(not name.endswith("?") for name in positionals)
    if len(given) < needed:
        raise InvalidParameter(f"requires at least {needed} argument(s): {' '.join(positionals)}")
    if len(given) > len(positionals) and not rest:
        raise InvalidParameter(f"requires at most {len(positionals)} argument(s)")
    named = {name.rstrip("?"): [word] for name, word in zip(positionals, given, strict=False)}
    if rest:
        named[rest] = given[len(positionals) :]
    return named


def help_text(command: str, summary: str, options: Sequence[Option], words: str) -> str:
    """What ``--help`` prints."""
    lines = [f"{command} - {summary}", "", f"Usage: {command} [options] {words}", "", "Options:"]
    for option in options:
        spelled = (
            f"--{option.name}" + ("" if option.flag else " value") + (f", -{option.short}" if option.short else "")
        )
        lines.append(f"   {spelled:<32}  {option.help}" + (f" (default: {option.default})" if option.default else ""))
    return "\n".join(lines)

"""A declarative option table and its parser, with the rules and the messages of Go's pflag.

argparse costs 9 ms to import and knows other rules (abbreviations, ``-m=5``, other messages). Here a table is a
tuple of :class:`Option`; :func:`parse` gives :class:`Flags` and the arguments. ``wherry.cli.usage`` prints it.
"""

from wherry.cli import values
from wherry.cli.errors import FlagError, HelpWanted

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any


class Option:
    """One option. ``kind`` is a key of ``values.PARSERS``; ``metavar`` is what the help shows for it.

    ``check`` is ``module:function`` below ``wherry.cli``, imported only when the option is given: it looks at one
    value, may give it back changed, and raises ValueError as parsers do.
    ``alias`` names the option whose value this hidden one sets; ``deprecated`` is a notice for stderr.
    """

    __slots__ = ("alias", "check", "default", "deprecated", "help", "hidden", "kind", "metavar", "name", "short")

    def __init__(
        self,
        name: str,
        short: str,
        kind: str,
        help: str = "",
        *,
        metavar: str = "",
        default: object = None,
        check: str = "",
        alias: str = "",
        hidden: bool = False,
        deprecated: str = "",
    ) -> None:
        self.name = name
        self.short = short
        self.kind = kind
        self.help = help
        self.metavar = metavar or ("" if kind == "bool" else kind)
        self.default = default
        self.check = check
        self.alias = alias
        self.hidden = hidden or bool(alias)
        self.deprecated = deprecated


class Flags:
    """The values of a parsed command line, read by name and type."""

    __slots__ = ("_changed", "_values")

    def __init__(self, options: "Sequence[Option]") -> None:
        self._values: dict[str, Any] = {
            option.name: []
            if option.kind in values.MANY
            else option.default
            if option.default is not None
            else values.EMPTY.get(option.kind, 0)
            for option in options
            if not option.alias
        }
        self._changed: set[str] = set()

    def record(self, option: Option, value: object) -> None:
        name = option.alias or option.name
        if option.kind in values.MANY:
            self._values[name] += value if isinstance(value, list) else [value]
        else:
            self._values[name] = value
        self._changed.add(name)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def changed(self, name: str) -> bool:
        """Whether the option was given at all."""
        return name in self._changed

    def flag(self, name: str) -> bool:
        value: bool = self._values[name]
        return value

    def text(self, name: str) -> str:
        value: str = self._values[name]
        return value

    def number(self, name: str) -> int:
        value: int = self._values[name]
        return value

    def many(self, name: str) -> list[str]:
        value: list[str] = self._values[name]
        return value


def parse(
    options: "Sequence[Option]", argv: "Sequence[str]", *, interspersed: bool = True
) -> "tuple[Flags, list[str], list[str]]":
    """Flags, arguments and notices (deprecated options). Not ``interspersed``: the first argument ends the options.

    Raises FlagError, or HelpWanted once everything has parsed.
    """
    by_name = {option.name: option for option in options}
    by_short = {option.short: option for option in options if option.short}
    flags = Flags(options)
    arguments: list[str] = []
    notices: list[str] = []
    help_wanted: HelpWanted | None = None
    rest = list(argv)
    position = 0
    while position < len(rest):
        word = rest[position]
        position += 1
        if len(word) < 2 or word[0] != "-":
            arguments.append(word)
            if interspersed:
                continue
            arguments += rest[position:]
            break
        if word == "--":
            arguments += rest[position:]
            break
        if word.startswith("--"):
            name, equals, value = word[2:].partition("=")
            if not name or name[0] in "-=":
                raise FlagError(f"bad flag syntax: {word}")
            option = by_name.get(name)
            if option is None:
                if name == "help":
                    help_wanted = HelpWanted(deprecated=False)
                    continue
                raise FlagError(f"unknown flag: --{name}")
            if not equals:
                if option.kind == "bool":
                    value = "true"
                elif position < len(rest):
                    value = rest[position]
                    position += 1
                else:
                    raise FlagError(f"flag needs an argument: --{name}")
            _record(flags, option, value, notices)
            if name == "help":
                help_wanted = HelpWanted(deprecated=False)
            continue
        letters = word[1:]
        while letters:
            letter, letters = letters[0], letters[1:]
            option = by_short.get(letter)
            if option is None:
                if letter == "h":
                    help_wanted = HelpWanted(deprecated=True)
                    continue
                raise FlagError(f"unknown shorthand flag: '{letter}' in -{letter}{letters}")
            if letters.startswith("="):
                value, letters = letters[1:], ""
            elif option.kind == "bool":
                value = "true"
            elif letters:
                value, letters = letters, ""
            elif position < len(rest):
                value = rest[position]
                position += 1
            else:
                raise FlagError(f"flag needs an argument: '{letter}' in -{letter}{letters}")
            _record(flags, option, value, notices)
    if help_wanted is not None:
        raise help_wanted
    return flags, arguments, notices


def load_check(name: str) -> "Callable[[str], str]":
    """The function that ``Option.check`` names."""
    module, _, attribute = name.partition(":")
    function: Callable[[str], str] = getattr(__import__(f"wherry.cli.{module}", fromlist=[attribute]), attribute)
    return function


def _record(flags: Flags, option: Option, text: str, notices: list[str]) -> None:
    try:
        value: object = values.PARSERS[option.kind](text)
        if option.kind == "strings":
            value = text.split(",")
        elif option.check:
            value = load_check(option.check)(text)
    except ValueError as exc:
        shown = f"-{option.short}, --{option.name}" if option.short else f"--{option.name}"
        raise FlagError(f'invalid argument "{text}" for "{shown}" flag: {exc}') from None
    if option.deprecated:
        notices.append(f"Flag --{option.name} has been deprecated, {option.deprecated}")
    flags.record(option, value)

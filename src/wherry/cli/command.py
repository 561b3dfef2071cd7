"""What a command is: a line of usage, an option table, how many arguments it takes, and a function that runs it."""

from wherry.cli.options import Flags, Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from wherry.cli.app import App


class Command:
    """``usage`` is what follows the command's name. ``aliases`` are full paths, the first is the longest.

    ``most`` None means no upper bound. A command with ``interspersed`` False ends its options at the first
    argument (run, exec, top): what follows belongs to the container.
    """

    __slots__ = ("aliases", "interspersed", "least", "long", "most", "options", "run", "short", "usage")

    def __init__(
        self,
        usage: str,
        short: str,
        run: "Callable[[Invocation], int]",
        *,
        options: "Sequence[Option]" = (),
        least: int = 0,
        most: int | None = None,
        aliases: "Sequence[str]" = (),
        long: str = "",
        interspersed: bool = True,
    ) -> None:
        self.usage = usage
        self.short = short
        self.run = run
        self.options = options
        self.least = least
        self.most = most
        self.aliases = aliases
        self.long = long
        self.interspersed = interspersed


class Invocation:
    """One call of a command: ``path`` as typed (``container ls``), its flags and arguments, and the program."""

    __slots__ = ("app", "args", "flags", "path")

    def __init__(self, app: "App", path: str, flags: Flags, args: list[str]) -> None:
        self.app = app
        self.path = path
        self.flags = flags
        self.args = args


def arguments_error(command: Command, path: str, count: int) -> str | None:
    """Docker's text when the number of arguments is wrong."""
    least, most = command.least, command.most
    if count >= least and (most is None or count <= most):
        return None
    see = "Run"
    if most == 0:
        wants = "accepts no arguments"
    elif most is None:
        wants = f"requires at least {least} {_plural(least)}"
        see = "See"
    elif least == most:
        wants = f"requires {least} {_plural(least)}"
    elif least:
        wants = f"requires at least {least} and at most {most} {_plural(most)}"
    else:
        wants = f"requires at most {most} {_plural(most)}"
    return (
        f"wherry: 'wherry {path}' {wants}\n\nUsage:  wherry {path} {command.usage}".rstrip()
        + f"\n\n{see} 'wherry {path} --help' for more information"
    )


def _plural(count: int) -> str:
    return "argument" if count == 1 else "arguments"

"""The ``wherry`` program: global options, the choice of the command, and what is printed when it goes wrong.

Only the module of the chosen command is imported (PERFORMANCE.md, technique 6; ``tests/cli/test_imports.py``).
"""

import os
import sys

from wherry.cli import registry
from wherry.cli.app import App
from wherry.cli.command import Command, Invocation, arguments_error
from wherry.cli.errors import CommandFailed, FlagError, HelpWanted, describe
from wherry.cli.options import Flags, Option, parse
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

GLOBAL_OPTIONS = (
    Option("config", "", "string", "Location of client config files"),
    Option("context", "c", "string", "Name of the context to use to connect (overrides WHERRY_HOST, DOCKER_HOST)"),
    Option("debug", "D", "bool", "Enable debug mode"),
    Option("host", "H", "list", "Daemon socket to connect to"),
    Option("log-level", "l", "string", 'Set the logging level ("debug", "info", "warn", "error", "fatal")'),
    Option("tls", "", "bool", "Use TLS; implied by --tlsverify"),
    Option("tlscacert", "", "string", "Trust certs signed only by this CA"),
    Option("tlscert", "", "string", "Path to TLS certificate file"),
    Option("tlskey", "", "string", "Path to TLS key file"),
    Option("tlsverify", "", "bool", "Use TLS and verify the remote"),
    Option("version", "v", "bool", "Print version information and quit"),
)


def main() -> None:
    """The console script: run, flush, and leave without tearing the interpreter down (it saves 2 ms)."""
    # Names and logs may hold bytes that are not UTF-8: they pass through unchanged.
    sys.stdout.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    sys.stderr.reconfigure(errors="surrogateescape")  # type: ignore[union-attr]
    code = run(sys.argv[1:])
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except OSError:
        code = code or 1  # the reader of our output is gone: nobody is left to be told
    os._exit(code)


def run(argv: "Sequence[str]") -> int:
    """Run one command line; gives the exit code. Every expected error is printed here, in one line."""
    try:
        return _dispatch(argv)
    except CommandFailed as exc:
        _complain(exc.message, exc.hint)
        return exc.code
    except WherryError as exc:
        _complain(describe(exc), exc.hint)
        return 1
    except BrokenPipeError:
        # Our reader has gone (``wherry ps | head -1``): what a Go program dies of as SIGPIPE.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
        return 141
    except KeyboardInterrupt:
        return 130


def _complain(message: str, hint: str | None = None) -> None:
    sys.stdout.flush()
    if message:
        sys.stderr.write(message + "\n")
    if hint:
        sys.stderr.write(hint + "\n")


def _dispatch(argv: "Sequence[str]") -> int:
    if list(argv) in (["--version"], ["-v"]):
        return _print_version()
    try:
        flags, rest, _ = parse(GLOBAL_OPTIONS, argv, interspersed=False)
    except HelpWanted:
        return _root_help()
    except FlagError as exc:
        raise CommandFailed(
            f"{exc.message}\n\nUsage:  wherry [OPTIONS] COMMAND [ARG...]\n\nRun 'wherry --help' for more information",
            code=125,
        ) from None
    if flags.flag("version"):
        return _print_version()
    if not rest:
        return _root_help()
    app = app_of(flags)
    try:
        return _run_named(app, rest[0], rest[1:])
    finally:
        app.close()


def _run_named(app: App, name: str, rest: list[str]) -> int:
    if name == "__complete":
        from wherry.cli import complete_shell

        return complete_shell.run(rest)
    if name == "help":
        return _help_command(rest)
    if name in registry.GROUPS:
        return _run_group(app, name, rest)
    entry = registry.ROOT.get(name)
    if entry is None:
        raise CommandFailed(f"wherry: unknown command: wherry {name}\n\nRun 'wherry --help' for more information")
    return run_command(app, load(entry), name, rest)


def app_of(flags: Flags) -> App:
    """The program as the global options want it."""
    hosts = flags.many("host")
    if len(hosts) > 1:
        raise CommandFailed("specify only one -H", code=1)
    if hosts and flags.text("context"):
        raise CommandFailed("conflicting options: cannot specify both --host and --context")
    tls = None
    if flags.flag("tls") or flags.flag("tlsverify"):
        from wherry.client.address import tls_files

        tls = tls_files(
            os.environ,
            verify=flags.flag("tlsverify"),
            authority=flags.text("tlscacert"),
            certificate=flags.text("tlscert"),
            key=flags.text("tlskey"),
        )
    if flags.text("config"):
        os.environ["DOCKER_CONFIG"] = flags.text("config")
    return App(host=hosts[0] if hosts else "", context=flags.text("context"), tls=tls, debug=flags.flag("debug"))


def load(entry: tuple[str, str, str]) -> Command:
    """Import the command's module and give the command."""
    module = __import__(f"wherry.cli.{entry[0]}", fromlist=[entry[1]])
    command: Command = getattr(module, entry[1])
    return command


def _run_group(app: App, group: str, rest: list[str]) -> int:
    table, short = registry.GROUPS[group]
    if rest and not rest[0].startswith("-"):
        name = registry.SYNONYMS.get((group, rest[0]), rest[0])
        if name in table:
            return run_command(app, load(table[name]), f"{group} {name}", rest[1:])
        raise CommandFailed(
            f"wherry: unknown command: wherry {group} {rest[0]}\n\n"
            f"Usage:  wherry {group}\n\nRun 'wherry {group} --help' for more information"
        )
    from wherry.cli.usage import group_help

    if rest and rest[0] not in ("--help", "-h"):
        kind = "flag" if rest[0].startswith("--") else "shorthand flag"
        shown = rest[0] if kind == "flag" else f"'{rest[0][1:2]}' in {rest[0]}"
        raise CommandFailed(
            f"unknown {kind}: {shown}\n\nUsage:  wherry {group} COMMAND\n\n"
            f"Run 'wherry {group} --help' for more information",
            code=125,
        )
    sys.stdout.write(group_help(group, short, [(name, entry[2]) for name, entry in table.items()]))
    return 0


def run_command(app: App, command: Command, path: str, argv: "Sequence[str]") -> int:
    """Parse the command's own options and run it."""
    try:
        flags, args, notices = parse(command.options, argv, interspersed=command.interspersed)
    except HelpWanted as exc:
        from wherry.cli.usage import command_help

        if exc.deprecated:
            app.out("Flag shorthand -h has been deprecated, use --help")
        sys.stdout.write(command_help(command, path))
        return 0
    except FlagError as exc:
        from wherry.cli.usage import flag_error

        raise CommandFailed(flag_error(command, path, exc.message), code=125) from None
    for notice in notices:
        app.out(notice)
    wrong = arguments_error(command, path, len(args))
    if wrong:
        raise CommandFailed(wrong)
    return command.run(Invocation(app, path, flags, args))


def _print_version() -> int:
    from wherry import __version__

    sys.stdout.write(f"wherry version {__version__}\n")
    return 0


def _help_command(words: list[str]) -> int:
    if not words:
        return _root_help()
    if words[0] in registry.GROUPS:
        return _run_group(App(), words[0], [*words[1:], "--help"])
    if words[0] not in registry.ROOT:
        raise CommandFailed(f"unknown help topic: {' '.join(words)}")
    return run_command(App(), load(registry.ROOT[words[0]]), words[0], ["--help"])


def _root_help() -> int:
    from wherry.cli.usage import columns, option_help

    usual = [(name, registry.ROOT[name][2]) for name in registry.USUAL]
    groups = [(name, short) for name, (_, short) in registry.GROUPS.items()]
    others = [(name, entry[2]) for name, entry in sorted(registry.ROOT.items()) if name not in registry.USUAL]
    sys.stdout.write(
        "Usage:  wherry [OPTIONS] COMMAND\n\n"
        "A container engine in Python\n\n"
        f"Common Commands:\n{columns(usual)}\n\n"
        f"Management Commands:\n{columns(groups)}\n\n"
        f"Commands:\n{columns(others)}\n\n"
        f"Global Options:\n{option_help(GLOBAL_OPTIONS)}\n\n"
        "Run 'wherry COMMAND --help' for more information on a command.\n"
    )
    return 0

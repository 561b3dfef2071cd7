"""The commands of ``wherry-runtime``: global options, dispatch, and how an error is told (runc's way)."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, NoReturn

from wherry.errors import WherryError
from wherry.runtime import commands_inspect, commands_lifecycle, commands_process, commands_resources
from wherry.runtime.command import Arguments, Command, GlobalOptions
from wherry.runtime.state import DEFAULT_ROOT

COMMANDS: dict[str, Command] = {
    **commands_lifecycle.COMMANDS,
    **commands_process.COMMANDS,
    **commands_resources.COMMANDS,
    **commands_inspect.COMMANDS,
}


@dataclass(frozen=True, slots=True)
class _ErrorLog:
    """Where ``--log`` says, in the format that ``--log-format`` says; standard error gets the text besides."""

    path: str
    format: str

    def write(self, level: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.format == "json":
            line = json.dumps({"level": level, "msg": message, "time": now})
        else:
            line = f'time="{now}" level={level} msg={json.dumps(message)}'
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                print(line, file=file)
            if level == "error":
                print(message, file=sys.stderr)
        else:
            print(line, file=sys.stderr)


def run() -> NoReturn:
    """Run the command of sys.argv and exit with its status; 1 for an error, as runc does."""
    options, rest = _global_options(sys.argv[1:])
    log = _ErrorLog(options.log, options.log_format)
    name, *arguments = rest or ["help"]
    if name in ("help", "h"):
        _print_help(sys.stdout)
        sys.exit(0)
    command = COMMANDS.get(name)
    if command is None:
        print(f"No help topic for '{name}'", file=sys.stderr)
        sys.exit(3)
    try:
        status = _run_command(name, command, options, arguments, _warner(log, name, options))
    except WherryError as exc:
        log.write("error", f"{exc.message} ({exc.hint})" if exc.hint and not options.log else exc.message)
        status = command.failure_status
    except OSError as exc:
        log.write("error", f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
        status = command.failure_status
    sys.stdout.flush()
    sys.exit(status)


def _warner(log: _ErrorLog, name: str, options: GlobalOptions) -> Callable[[str], None]:
    """Standard error of an exec belongs to the process: there warnings show only when they were asked for."""
    if name == "exec" and not options.log and not options.debug:
        return lambda _text: None
    return lambda text: log.write("warning", text)


def _run_command(
    name: str, command: Command, options: GlobalOptions, arguments: list[str], warn: Callable[[str], None]
) -> int:
    parser = argparse.ArgumentParser(prog=f"wherry-runtime {name}", description=command.summary, allow_abbrev=False)
    command.add_arguments(parser)
    parsed = Arguments()
    parser.parse_args(arguments, parsed)
    return command.run(options, parsed, warn)


def _global_options(arguments: list[str]) -> tuple[GlobalOptions, list[str]]:
    parser = argparse.ArgumentParser(prog="wherry-runtime", add_help=False, allow_abbrev=False)
    parser.add_argument("--root", default=DEFAULT_ROOT)
    parser.add_argument("--log", default="")
    parser.add_argument("--log-format", default="text", choices=("text", "json"))
    parser.add_argument("--debug", action="store_true")
    parser.add_argument("--systemd-cgroup", action="store_true")
    parser.add_argument("--criu", default="")
    parser.add_argument("--rootless", default="auto")
    parser.add_argument("--version", "-v", action="store_true")
    parser.add_argument("--help", "-h", action="store_true")
    parser.add_argument("rest", nargs=argparse.REMAINDER)
    parsed = parser.parse_args(arguments, Arguments())
    if parsed.flag("version"):
        from wherry import __version__  # start-up cost

        print(f"wherry-runtime version {__version__}\nspec: 1.2.0")
        sys.exit(0)
    if parsed.flag("help"):
        _print_help(sys.stdout)
        sys.exit(0)
    return (
        GlobalOptions(
            root=os.path.abspath(parsed.text("root")),
            log=parsed.text("log"),
            log_format=parsed.text("log_format"),
            debug=parsed.flag("debug"),
        ),
        parsed.words("rest"),
    )


def _print_help(stream: IO[str]) -> None:
    print("Usage: wherry-runtime [global options] command [command options] [arguments...]\n\nCommands:", file=stream)
    for name, command in COMMANDS.items():
        print(f"   {name:<10}  {command.summary}", file=stream)
    print(
        "\nGlobal options:\n"
        "   --debug             log what is done\n"
        "   --log value         file that errors are logged to (default: standard error)\n"
        '   --log-format value  "text" or "json" (default: "text")\n'
        f"   --root value        directory of the containers' state (default: {DEFAULT_ROOT})\n"
        "   --systemd-cgroup    cgroupsPath is slice:prefix:name; the path systemd would use is made directly",
        file=stream,
    )

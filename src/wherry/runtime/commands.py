"""The commands of ``wherry-runtime``: global options, dispatch, and how an error is told (runc's way)."""

from __future__ import annotations

import gc
import os
import sys
import time

from wherry import __version__, json_text
from wherry.errors import InvalidParameter, WherryError
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime.command import Command, GlobalOptions, Warn
from wherry.runtime.options import HelpRequested, Option, help_text, parse

if TYPE_CHECKING:
    from typing import NoReturn

DEFAULT_ROOT = "/run/wherry-runtime"

_SUMMARIES = {
    "create": "create a container",
    "start": "executes the user defined process in a created container",
    "run": "create and run a container",
    "exec": "execute new process inside the container",
    "state": "output the state of a container",
    "list": "lists containers with the given root",
    "ps": "displays the processes running inside a container",
    "kill": "sends a signal (default: SIGTERM) to the container's init process",
    "delete": "delete any resources held by the container",
    "pause": "suspends all processes inside the container",
    "resume": "resumes all processes that have been previously paused",
    "update": "update container resource constraints",
    "events": "display container events and usage statistics",
    "spec": "create a new specification file",
    "features": "show the enabled features",
    "checkpoint": "not supported",
    "restore": "not supported",
}

_GLOBAL_OPTIONS = (
    Option("root", "directory of the containers' state", default=DEFAULT_ROOT),
    Option("log", "file that errors are logged to (default: standard error)"),
    Option("log-format", "text or json", default="text"),
    Option("debug", "show every warning", flag=True),
    Option("systemd-cgroup", "cgroupsPath is slice:prefix:name; systemd's path is made directly", flag=True),
    Option("criu", "ignored"),
    Option("rootless", "ignored"),
    Option("version", "print the version", short="v", flag=True),
)


def _load(name: str) -> Command:
    """The command's own modules only: what makes containers costs more to import than ``state`` takes."""
    if name in ("create", "run"):
        from wherry.runtime.commands_create import COMMANDS
    elif name in ("start", "kill", "delete"):
        from wherry.runtime.commands_lifecycle import COMMANDS
    elif name in ("exec", "ps"):
        from wherry.runtime.commands_process import COMMANDS
    elif name in ("pause", "resume", "update", "events"):
        from wherry.runtime.commands_resources import COMMANDS
    else:
        from wherry.runtime.commands_inspect import COMMANDS
    return COMMANDS[name]


class _ErrorLog(NamedTuple):
    """Where ``--log`` says, in the format that ``--log-format`` says; standard error gets the text besides."""

    path: str
    format: str

    def write(self, level: str, message: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        if self.format == "json":
            line = json_text.dumps({"level": level, "msg": message, "time": now})
        else:
            line = f'time="{now}" level={level} msg={json_text.dumps(message)}'
        if self.path:
            with open(self.path, "a", encoding="utf-8") as file:
                print(line, file=file)
            if level == "error":
                print(message, file=sys.stderr)
        else:
            print(line, file=sys.stderr)


def run() -> NoReturn:
    """Run the command of sys.argv and exit with its status; 1 for an error, as runc does."""
    gc.disable()  # a command is over before there is garbage worth the search
    log = _ErrorLog("", "text")
    status = 1
    try:
        options, rest = _global_options(sys.argv[1:])
        log = _ErrorLog(options.log, options.log_format)
        status = _run_command(options, rest, log)
    except WherryError as exc:
        log.write("error", f"{exc.message} ({exc.hint})" if exc.hint and not log.path else exc.message)
    except OSError as exc:
        log.write("error", f"{exc.filename}: {exc.strerror}" if exc.filename else str(exc))
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)  # taking the interpreter apart costs 3 ms and nobody needs it


def _run_command(options: GlobalOptions, words: list[str], log: _ErrorLog) -> int:
    name, *arguments = words or ["help"]
    if name in ("help", "h"):
        _print_help()
        return 0
    if name not in _SUMMARIES:
        print(f"No help topic for '{name}'", file=sys.stderr)
        return 3
    command = _load(name)
    try:
        parsed = parse(command.options, arguments, positionals=command.positionals, rest=command.rest)
        return command.run(options, parsed, _warner(log, name, options))
    except HelpRequested:
        positionals = " ".join(f"<{word.rstrip('?')}>" for word in (*command.positionals, command.rest) if word)
        print(help_text(f"wherry-runtime {name}", _SUMMARIES[name], command.options, positionals))
        return 0
    except WherryError as exc:
        log.write("error", f"{exc.message} ({exc.hint})" if exc.hint and not options.log else exc.message)
        return command.failure_status


def _warner(log: _ErrorLog, name: str, options: GlobalOptions) -> Warn:
    """Standard error of an exec belongs to the process: there warnings show only when they were asked for."""
    if name == "exec" and not options.log and not options.debug:
        return lambda _text: None
    return lambda text: log.write("warning", text)


def _global_options(arguments: list[str]) -> tuple[GlobalOptions, list[str]]:
    try:
        parsed = parse(_GLOBAL_OPTIONS, arguments, rest="words")
    except HelpRequested:
        _print_help()
        sys.exit(0)
    if parsed.flag("version"):
        print(f"wherry-runtime version {__version__}\nspec: 1.2.0")
        sys.exit(0)
    if parsed.text("log-format") not in ("text", "json"):
        raise InvalidParameter(f'invalid log-format: "{parsed.text("log-format")}"')
    options = GlobalOptions(
        root=os.path.abspath(parsed.text("root")),
        log=parsed.text("log"),
        log_format=parsed.text("log-format"),
        debug=parsed.flag("debug"),
    )
    return options, parsed.words("words")


def _print_help() -> None:
    print(help_text("wherry-runtime", "an OCI runtime", _GLOBAL_OPTIONS, "command [command options] [arguments...]"))
    print("\nCommands:")
    for name, summary in _SUMMARIES.items():
        print(f"   {name:<10}  {summary}")

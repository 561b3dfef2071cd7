"""start, kill, delete: commands that need nothing of what makes a container, nor of each other (start-up cost)."""

from __future__ import annotations

from wherry.errors import NotFound
from wherry.runtime import state
from wherry.runtime.command import Command, GlobalOptions, Warn
from wherry.runtime.options import Arguments, Option


def _start(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    from wherry.runtime.start_created import start_created

    start_created(state.load(options.root, arguments.text("container-id")))
    return 0


def _kill(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    from wherry.runtime.kill import kill_container, parse_signal

    kept = state.load(options.root, arguments.text("container-id"))
    number = parse_signal(arguments.text("signal") or "TERM")
    kill_container(kept, number, everything=arguments.flag("all"))
    return 0


def _delete(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    force = arguments.flag("force")
    try:
        kept = state.load(options.root, arguments.text("container-id"))
    except NotFound:
        if force:
            state.remove_unfinished(options.root, arguments.text("container-id"))
            return 0
        raise
    from wherry.runtime.delete import delete_container

    delete_container(kept, force=force)
    return 0


COMMANDS = {
    "start": Command(_start),
    "kill": Command(
        _kill,
        (Option("all", "signal every process of the container", short="a", flag=True),),
        ("container-id", "signal?"),
    ),
    "delete": Command(_delete, (Option("force", "kill the container if it still runs", short="f", flag=True),)),
}

"""``rename``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed


def _run(call: Invocation) -> int:
    old, new = (name.strip() for name in call.args)
    if not old or not new:
        raise CommandFailed("Error: Neither old nor new names may be empty")
    call.app.containers.rename(old, new)
    return 0


RENAME = Command(
    "CONTAINER NEW_NAME",
    "Rename a container",
    _run,
    least=2,
    most=2,
    aliases=("container rename", "rename"),
)

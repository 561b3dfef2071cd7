"""``rename``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed, describe
from wherry.errors import WherryError


def _run(call: Invocation) -> int:
    old, new = (name.strip() for name in call.args)
    if not old or not new:
        raise CommandFailed("Error: Neither old nor new names may be empty")
    try:
        call.app.containers.rename(old, new)
    except WherryError as exc:
        raise CommandFailed(f"{describe(exc)}\nError: failed to rename container named {old}") from exc
    return 0


RENAME = Command(
    "CONTAINER NEW_NAME",
    "Rename a container",
    _run,
    least=2,
    most=2,
    aliases=("container rename", "rename"),
)

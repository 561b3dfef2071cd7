"""``export``."""

import os

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.files import save_stream
from wherry.cli.options import Option


def _run(call: Invocation) -> int:
    path = call.flags.text("output")
    if not path and os.isatty(1):
        raise CommandFailed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    save_stream(call.app.containers.export(call.args[0]).chunks(), path)
    return 0


EXPORT = Command(
    "[OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    _run,
    options=(Option("output", "o", "string", "Write to a file, instead of STDOUT"),),
    least=1,
    most=1,
    aliases=("container export", "export"),
)

"""``save``."""

import os

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.files import save_stream
from wherry.cli.options import Option


def _run(call: Invocation) -> int:
    path = call.flags.text("output")
    if not path and os.isatty(1):
        raise CommandFailed("cowardly refusing to save to a terminal. Use the -o flag or redirect")
    if path and not os.path.isdir(os.path.dirname(path) or "."):
        raise CommandFailed(
            f"failed to save image: invalid output path: stat {os.path.dirname(path)}: no such file or directory"
        )
    response = call.app.images.save(call.args, platform=call.flags.text("platform"))
    save_stream(response.chunks(), path)
    return 0


SAVE = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Save one or more images to a tar archive (streamed to STDOUT by default)",
    _run,
    options=(
        Option("output", "o", "string", "Write to a file, instead of STDOUT"),
        Option("platform", "", "string",
               'Save only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")'),
    ),
    least=1,
    aliases=("image save", "save"),
)  # fmt: skip

"""``load`` and ``import``."""

import os

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.files import open_input, pieces_of
from wherry.cli.options import Option
from wherry.cli.progress import show_progress
from wherry.cli.reference import reference_error, split_reference


def _load(call: Invocation) -> int:
    flags, path = call.flags, call.flags.text("input")
    if path:
        descriptor = open_input(path)
    else:
        if os.isatty(0):
            raise CommandFailed("requested load from stdin, but stdin is empty")
        descriptor = 0
    try:
        response = call.app.images.load(
            pieces_of(descriptor), quiet=flags.flag("quiet"), platform=flags.text("platform")
        )
        show_progress(response.json_lines())
    finally:
        if path:
            os.close(descriptor)
    return 0


def _import(call: Invocation) -> int:
    flags, source = call.flags, call.args[0]
    repository = tag = ""
    if len(call.args) > 1:
        wrong = reference_error(call.args[1])
        if wrong:
            raise CommandFailed(wrong)
        repository, tag = split_reference(call.args[1])
    remote = source.startswith(("http://", "https://"))
    descriptor = -1
    if not remote:
        descriptor = 0 if source == "-" else open_input(source)
    try:
        messages = call.app.images.import_(
            source if remote else "-",
            None if remote else pieces_of(descriptor),
            repository=repository,
            tag=tag,
            message=flags.text("message"),
            changes=flags.many("change"),
            platform=flags.text("platform"),
        )
        show_progress(messages)
    finally:
        if descriptor > 0:
            os.close(descriptor)
    return 0


LOAD = Command(
    "[OPTIONS]",
    "Load an image from a tar archive or STDIN",
    _load,
    options=(
        Option("input", "i", "string", "Read from tar archive file, instead of STDIN"),
        Option("platform", "", "string",
               'Load only the given platform variant. Formatted as "os[/arch[/variant]]" (e.g., "linux/amd64")'),
        Option("quiet", "q", "bool", "Suppress the load output"),
    ),
    most=0,
    aliases=("image load", "load"),
)  # fmt: skip
IMPORT = Command(
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    _import,
    options=(
        Option("change", "c", "list", "Apply Dockerfile instruction to the created image"),
        Option("message", "m", "string", "Set commit message for imported image"),
        Option("platform", "", "string", "Set platform if server is multi-platform capable"),
    ),
    least=1,
    aliases=("image import", "import"),
)

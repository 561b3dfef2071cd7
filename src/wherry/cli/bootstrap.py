"""``image bootstrap``: a first image without any registry, from the distribution's own packages."""

import sys

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.progress import show_progress
from wherry.cli.reference import split_reference


def _run(call: Invocation) -> int:
    from wherry.images import bootstrap  # start-up cost: subprocess, tarfile

    name = call.args[0]
    if name != "busybox":
        raise CommandFailed(f"no recipe for {name}: the only one is busybox")
    call.app.err(f"Downloading {bootstrap.PACKAGE} through the distribution's package manager")
    made = bootstrap.busybox()
    repository, tag = split_reference(made.reference)
    show_progress(
        call.app.images.import_(
            "-",
            [made.tar],
            repository=repository,
            tag=tag,
            changes=list(made.changes),
            message="wherry image bootstrap",
        ),
        quiet=True,
    )
    sys.stdout.write(f"{made.reference}\n")
    return 0


BOOTSTRAP = Command(
    "NAME",
    "Make a first image from the distribution's own packages",
    _run,
    least=1,
    most=1,
    aliases=("image bootstrap",),
    long="Make a first image from the distribution's own packages, without any registry.\n"
    "The only NAME so far is busybox, from the package busybox-static.",
)

"""``rmi``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.options import Option
from wherry.errors import NotFound, WherryError


def _run(call: Invocation) -> int:
    flags, app = call.flags, call.app
    failures: list[str] = []
    fatal = False
    for ref in call.args:
        try:
            rows = app.images.remove(ref, force=flags.flag("force"), no_prune=flags.flag("no-prune"))
        except WherryError as exc:
            fatal = fatal or not isinstance(exc, NotFound)
            failures.append(describe(exc))
            continue
        for row in rows:
            app.out(f"Deleted: {row['Deleted']}" if row.get("Deleted") else f"Untagged: {row.get('Untagged', '')}")
    if not failures:
        return 0
    if flags.flag("force") and not fatal:
        # ``rmi -f`` of what is not there is a success; Docker says so on stderr.
        app.err("\n".join(failures))
        return 0
    raise CommandFailed("\n".join(failures))


RMI = Command(
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    _run,
    options=(
        Option("force", "f", "bool", "Force removal of the image"),
        Option("no-prune", "", "bool", "Do not delete untagged parents"),
    ),
    least=1,
    aliases=("image rm", "image remove", "rmi"),
)

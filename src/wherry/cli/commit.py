"""``commit``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.options import Option
from wherry.cli.reference import split_reference


def _run(call: Invocation) -> int:
    flags = call.flags
    repository, tag = split_reference(call.args[1]) if len(call.args) > 1 else ("", "")
    image_id = call.app.containers.commit(
        call.args[0],
        repository=repository,
        tag=tag,
        message=flags.text("message"),
        author=flags.text("author"),
        changes=flags.many("change"),
        pause=flags.flag("pause"),
    )
    call.app.out(image_id)
    return 0


COMMIT = Command(
    "[OPTIONS] CONTAINER [REPOSITORY[:TAG]]",
    "Create a new image from a container's changes",
    _run,
    options=(
        Option("author", "a", "string", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        Option("change", "c", "list", "Apply Dockerfile instruction to the created image"),
        Option("message", "m", "string", "Commit message"),
        Option("pause", "p", "bool", "Pause container during commit (default true)", default=True),
    ),
    least=1,
    most=2,
    aliases=("container commit", "commit"),
)

"""``tag``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.reference import reference_error, split_reference


def _run(call: Invocation) -> int:
    source, target = call.args
    wrong = reference_error(target)
    if wrong:
        raise CommandFailed(f'Error parsing reference: "{target}" is not a valid repository/tag: {wrong}')
    repository, tag = split_reference(target)
    call.app.images.tag(source, repository, tag)
    return 0


TAG = Command(
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    _run,
    least=2,
    most=2,
    aliases=("image tag", "tag"),
)

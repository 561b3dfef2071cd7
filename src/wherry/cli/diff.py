"""``diff``."""

from wherry.cli.command import Command, Invocation

_KINDS = ("C", "A", "D")


def _run(call: Invocation) -> int:
    for change in call.app.containers.changes(call.args[0]):
        call.app.out(f"{_KINDS[change['Kind']]} {change['Path']}")
    return 0


DIFF = Command(
    "CONTAINER",
    "Inspect changes to files or directories on a container's filesystem",
    _run,
    least=1,
    most=1,
    aliases=("container diff", "diff"),
)

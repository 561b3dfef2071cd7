"""``top``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.table import layout


def _run(call: Invocation) -> int:
    ref, *ps_args = call.args
    table = call.app.containers.top(ref, " ".join(ps_args))
    rows = [[*row] for row in (table["Titles"], *(table["Processes"] or []))]
    call.app.out(layout(rows, minimum=20)[:-1])
    return 0


TOP = Command(
    "CONTAINER [ps OPTIONS]",
    "Display the running processes of a container",
    _run,
    least=1,
    aliases=("container top", "top"),
    interspersed=False,
)

"""``volume create`` and ``volume rm``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.container_config import pairs
from wherry.cli.many import for_each
from wherry.cli.options import Option


def _create(call: Invocation) -> int:
    volume = call.app.volumes.create(
        call.args[0] if call.args else "",
        driver=call.flags.text("driver"),
        options=pairs(call.flags.many("opt")),
        labels=pairs(call.flags.many("label")),
    )
    call.app.out(volume["Name"])
    return 0


def _remove(call: Invocation) -> int:
    force = call.flags.flag("force")
    return for_each(call.app, call.args, lambda name: call.app.volumes.remove(name, force=force))


CREATE = Command(
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    _create,
    options=(
        Option("driver", "d", "string", 'Specify volume driver name (default "local")', default="local"),
        Option("label", "", "list", "Set metadata for a volume"),
        Option("opt", "o", "map", "Set driver specific options (default map[])"),
    ),
    most=1,
)
REMOVE = Command(
    "[OPTIONS] VOLUME [VOLUME...]",
    "Remove one or more volumes",
    _remove,
    options=(Option("force", "f", "bool", "Force the removal of one or more volumes"),),
    least=1,
    aliases=("volume rm", "volume remove"),
    long="Remove one or more volumes. You cannot remove a volume that is in use by a container.",
)

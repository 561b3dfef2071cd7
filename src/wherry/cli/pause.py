"""``pause`` and ``unpause``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.many import for_each_at_once


def _pause(call: Invocation) -> int:
    return for_each_at_once(call.app, call.args, call.app.containers.pause)


def _unpause(call: Invocation) -> int:
    return for_each_at_once(call.app, call.args, call.app.containers.unpause)


PAUSE = Command(
    "CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    _pause,
    least=1,
    aliases=("container pause", "pause"),
)
UNPAUSE = Command(
    "CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    _unpause,
    least=1,
    aliases=("container unpause", "unpause"),
)

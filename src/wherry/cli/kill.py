"""``kill``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.many import for_each_at_once
from wherry.cli.options import Option


def _run(call: Invocation) -> int:
    signal = call.flags.text("signal")
    return for_each_at_once(call.app, call.args, lambda ref: call.app.containers.kill(ref, signal=signal))


KILL = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    _run,
    options=(Option("signal", "s", "string", "Signal to send to the container"),),
    least=1,
    aliases=("container kill", "kill"),
)

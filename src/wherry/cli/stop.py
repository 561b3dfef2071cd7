"""``stop`` and ``restart``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.many import for_each, for_each_at_once
from wherry.cli.options import Option

_OPTIONS = (
    Option("signal", "s", "string", "Signal to send to the container"),
    Option("timeout", "t", "int", "Seconds to wait before killing the container"),
    Option("time", "", "int", alias="timeout", deprecated="use --timeout instead"),
)


def _stop(call: Invocation) -> int:
    timeout, signal = _how(call)
    return for_each_at_once(
        call.app, call.args, lambda ref: call.app.containers.stop(ref, timeout_seconds=timeout, signal=signal)
    )


def _restart(call: Invocation) -> int:
    timeout, signal = _how(call)
    return for_each(
        call.app, call.args, lambda ref: call.app.containers.restart(ref, timeout_seconds=timeout, signal=signal)
    )


def _how(call: Invocation) -> tuple[int | None, str]:
    timeout = call.flags.number("timeout") if call.flags.changed("timeout") else None
    return timeout, call.flags.text("signal")


STOP = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    _stop,
    options=_OPTIONS,
    least=1,
    aliases=("container stop", "stop"),
)
RESTART = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    _restart,
    options=_OPTIONS,
    least=1,
    aliases=("container restart", "restart"),
)

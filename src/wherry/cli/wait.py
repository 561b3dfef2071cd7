"""``wait``. Survives the engine: a question that was cut off is asked again of the next one."""

import time

from wherry.cli.app import App
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.many import for_each
from wherry.client.errors import ConnectionLost
from wherry.errors import Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_ATTEMPTS = 20
_PAUSE_SECONDS = 0.1


def _ask(app: App, ref: str) -> "dict[str, Any]":
    for _ in range(_ATTEMPTS - 1):
        try:
            return app.containers.wait(ref)
        except (ConnectionLost, Unavailable):
            time.sleep(_PAUSE_SECONDS)
    return app.containers.wait(ref)


def _run(call: Invocation) -> int:
    def wait(ref: str) -> None:
        result = _ask(call.app, ref)
        error = (result.get("Error") or {}).get("Message")
        if error:
            raise CommandFailed(error)
        call.app.out(str(result["StatusCode"]))

    return for_each(call.app, call.args, wait, echo=False)


WAIT = Command(
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    _run,
    least=1,
    aliases=("container wait", "wait"),
)

"""``wait``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.many import for_each


def _run(call: Invocation) -> int:
    def wait(ref: str) -> None:
        result = call.app.containers.wait(ref)
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

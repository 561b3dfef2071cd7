"""``start``."""

from wherry.cli.attach import attach_to
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.many import for_each
from wherry.cli.options import Option
from wherry.errors import WherryError


def _run(call: Invocation) -> int:
    flags, app = call.flags, call.app
    if flags.flag("attach") or flags.flag("interactive"):
        if len(call.args) > 1:
            raise CommandFailed("you cannot start and attach multiple containers at once")
        container = app.containers.inspect(call.args[0])
        return attach_to(
            app,
            container,
            stdin=flags.flag("interactive"),
            sig_proxy=not container["Config"]["Tty"],
            keys=flags.text("detach-keys"),
            start=True,
        )
    failed: list[str] = []

    def start(ref: str) -> None:
        try:
            app.containers.start(ref, detach_keys=flags.text("detach-keys"))
        except WherryError:
            failed.append(ref)
            raise

    try:
        return for_each(app, call.args, start)
    except CommandFailed as exc:
        raise CommandFailed(f"{exc.message}\nError: failed to start containers: {', '.join(failed)}") from exc


START = Command(
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    _run,
    options=(
        Option("attach", "a", "bool", "Attach STDOUT/STDERR and forward signals"),
        Option("detach-keys", "", "string", "Override the key sequence for detaching a container"),
        Option("interactive", "i", "bool", "Attach container's STDIN"),
    ),
    least=1,
    aliases=("container start", "start"),
)

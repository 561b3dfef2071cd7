"""``attach``, and the attachment to an existing container that ``start -a`` shares."""

from wherry.cli.app import App
from wherry.cli.attached_container import AttachedContainer
from wherry.cli.attachment import check_terminal
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def attach_to(
    app: App, container: "dict[str, Any]", *, stdin: bool, sig_proxy: bool, keys: str, start: bool = False
) -> int:
    """Stay with a container until it exits (its code) or the detach keys are typed (0)."""
    container_id, tty = container["Id"], bool(container["Config"]["Tty"])
    stdin = stdin and bool(container["Config"]["OpenStdin"])
    check_terminal(stdin=stdin, tty=tty)
    with AttachedContainer(
        app,
        container_id,
        tty=tty,
        stdin=stdin,
        sig_proxy=sig_proxy,
        detach_keys=keys,
        removed=start and bool(container["HostConfig"].get("AutoRemove")),
        running=not start,
    ) as attached:
        return attached.stay((lambda: app.containers.start(container_id)) if start else None)


def _run(call: Invocation) -> int:
    container = call.app.containers.inspect(call.args[0])
    state = container["State"]
    if not state["Running"]:
        raise CommandFailed("You cannot attach to a stopped container, start it first")
    if state["Paused"]:
        raise CommandFailed("You cannot attach to a paused container, unpause it first")
    if state["Restarting"]:
        raise CommandFailed("You cannot attach to a restarting container, wait until it is running")
    return attach_to(
        call.app,
        container,
        stdin=not call.flags.flag("no-stdin"),
        sig_proxy=call.flags.flag("sig-proxy"),
        keys=call.flags.text("detach-keys"),
    )


ATTACH = Command(
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    _run,
    options=(
        Option("detach-keys", "", "string", "Override the key sequence for detaching a container"),
        Option("no-stdin", "", "bool", "Do not attach STDIN"),
        Option("sig-proxy", "", "bool", "Proxy all received signals to the process (default true)", default=True),
    ),
    least=1,
    most=1,
    aliases=("container attach", "attach"),
)

"""``attach``, and the attachment to an existing container that ``start -a`` shares."""

from wherry.cli.app import App
from wherry.cli.attachment import check_terminal, resize_container, send_signal
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.exit_watch import ExitWatch
from wherry.cli.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def attach_to(
    app: App, container: "dict[str, Any]", *, stdin: bool, sig_proxy: bool, keys: str, start: bool = False
) -> int:
    """Stay with a container until it exits (its code) or the detach keys are typed (0)."""
    from wherry.cli.detach_keys import parse_keys
    from wherry.cli.session import Session
    from wherry.cli.signal_relay import SignalRelay
    from wherry.cli.terminal import RawMode

    container_id, tty = container["Id"], bool(container["Config"]["Tty"])
    stdin = stdin and bool(container["Config"]["OpenStdin"])
    check_terminal(stdin=stdin, tty=tty)
    detach = parse_keys(keys) if tty and stdin else b""

    def forward(number: int) -> None:
        send_signal(app, container_id, number)

    def resize() -> None:
        resize_container(app, container_id)

    with SignalRelay(forward=forward if sig_proxy else None, resize=resize if tty else None) as relay:
        attach = app.containers.begin_attach(container_id, stdin=stdin, stdout=True, stderr=True, detach_keys=keys)
        removed = bool(container["HostConfig"].get("AutoRemove"))
        watch = ExitWatch(app, container_id, removed=removed and start, running=not start)
        stream = attach.answer().detach()
        watch.ready()
        with RawMode(0 if tty and stdin else -1):
            if start:
                app.containers.start(container_id)
            if tty:
                resize()
            if Session(stream, relay, tty=tty, stdin=0 if stdin else None, detach_keys=detach).run():
                return 0
        return watch.result(relay)


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

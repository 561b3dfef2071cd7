"""``run``: create, attach, watch for the exit, start, stay until the end, leave with the container's exit code."""

from wherry.cli.app import App
from wherry.cli.attachment import check_terminal, resize_container, send_signal
from wherry.cli.command import Command, Invocation
from wherry.cli.container_options import RUN_OPTIONS
from wherry.cli.create import build_config, create_container, with_help
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.exit_watch import ExitWatch
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.client.connection import Connection


def _run(call: Invocation) -> int:
    flags, app = call.flags, call.app
    name = call.path.rpartition(" ")[2]
    config = build_config(call)
    detached = flags.flag("detach")
    if detached and flags.many("attach"):
        raise CommandFailed("conflicting options: cannot specify both --attach and --detach")
    if not detached:
        check_terminal(stdin=config["AttachStdin"], tty=config["Tty"])
    try:
        container_id = create_container(app, flags, config)
    except WherryError as exc:
        raise with_help(describe(exc), name) from exc
    if detached:
        app.out(container_id)
        return _start_detached(app, container_id, name)
    if not (config["AttachStdin"] or config["AttachStdout"] or config["AttachStderr"]):
        app.out(container_id)
    return _run_attached(call, container_id, config, name)


def _start_detached(app: App, container_id: str, name: str) -> int:
    try:
        app.containers.start(container_id)
    except WherryError as exc:
        raise start_failure(exc, name) from exc
    return 0


def start_failure(exc: WherryError, name: str) -> CommandFailed:
    """125, or 127 and 126 for a command that is missing or cannot be executed (docker/cli ``toStatusError``)."""
    message = exc.message
    code = 125
    if "executable file not found" in message or "no such file or directory" in message:
        code = 127
    elif "permission denied" in message or "is a directory" in message:
        code = 126
    return with_help(describe(exc), name, code)


def _run_attached(call: Invocation, container_id: str, config: "dict[str, Any]", name: str) -> int:
    from wherry.cli.detach_keys import parse_keys
    from wherry.cli.session import Session
    from wherry.cli.signal_relay import SignalRelay
    from wherry.cli.terminal import RawMode

    app, flags = call.app, call.flags
    tty = bool(config["Tty"])
    keys = parse_keys(flags.text("detach-keys")) if tty and config["AttachStdin"] else b""

    def forward(number: int) -> None:
        send_signal(app, container_id, number)

    def resize() -> None:
        resize_container(app, container_id)

    with SignalRelay(forward=forward if flags.flag("sig-proxy") else None, resize=resize if tty else None) as relay:
        # Both requests are sent before either answer is read: they cross on the way.
        attach = app.containers.begin_attach(
            container_id,
            stdin=config["AttachStdin"],
            stdout=config["AttachStdout"],
            stderr=config["AttachStderr"],
            detach_keys=flags.text("detach-keys"),
        )
        watch = ExitWatch(app, container_id, removed=flags.flag("rm"))
        try:
            stream: Connection = attach.answer().detach()
            watch.ready()
        except WherryError as exc:
            raise with_help(describe(exc), name) from exc
        with RawMode(0 if tty and config["AttachStdin"] else -1):
            try:
                app.containers.start(container_id)
            except WherryError as exc:
                failure = start_failure(exc, name)
                stream.close()
                if flags.flag("rm"):
                    watch.result(relay)  # gone only when the engine says so
                raise failure from exc
            if tty:
                resize()
            session = Session(stream, relay, tty=tty, stdin=0 if config["AttachStdin"] else None, detach_keys=keys)
            if session.run():
                return 0
        return watch.result(relay)


RUN = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    _run,
    options=RUN_OPTIONS,
    least=1,
    aliases=("container run", "run"),
    interspersed=False,
)

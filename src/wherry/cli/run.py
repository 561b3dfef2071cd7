"""``run``: create, attach, watch for the exit, start, stay until the end, leave with the container's exit code."""

from wherry.cli.app import App
from wherry.cli.attachment import check_terminal
from wherry.cli.command import Command, Invocation
from wherry.cli.container_options import RUN_OPTIONS
from wherry.cli.create import build_config, create_container, with_help
from wherry.cli.errors import CommandFailed, describe
from wherry.client.errors import EngineError
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


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
        raise start_failure(exc, name) from exc
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
    from wherry.cli.attached_container import AttachedContainer  # start-up cost: not for -d

    app, flags = call.app, call.flags
    container = AttachedContainer(
        app,
        container_id,
        tty=config["Tty"],
        stdin=config["AttachStdin"],
        stdout=config["AttachStdout"],
        stderr=config["AttachStderr"],
        sig_proxy=flags.flag("sig-proxy"),
        detach_keys=flags.text("detach-keys"),
        removed=flags.flag("rm"),
    )

    def start() -> None:
        try:
            app.containers.start(container_id)
        except WherryError as exc:
            container.close_stream()
            if flags.flag("rm") and isinstance(exc, EngineError):
                # The container is gone only when the engine says so. An engine that went away said nothing: a
                # container that it did not start will not go by itself.
                container.exit_code()
            raise start_failure(exc, name) from exc

    try:
        with container:
            return container.stay(start)
    except CommandFailed:
        raise
    except WherryError as exc:
        raise with_help(describe(exc), name) from exc


RUN = Command(
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    _run,
    options=RUN_OPTIONS,
    least=1,
    aliases=("container run", "run"),
    interspersed=False,
)

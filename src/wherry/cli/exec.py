"""``exec``."""

from wherry.cli.app import App
from wherry.cli.attachment import check_terminal
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.options import Option
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _run(call: Invocation) -> int:
    flags, app = call.flags, call.app
    container, *command = call.args
    detached, tty, interactive = flags.flag("detach"), flags.flag("tty"), flags.flag("interactive")
    env = flags.many("env")
    if flags.changed("env-file"):
        from wherry.cli.env_file import read_env_file

        try:
            env = [entry for path in flags.many("env-file") for entry in read_env_file(path)] + env
        except ValueError as exc:
            raise CommandFailed(str(exc)) from None
    config: dict[str, Any] = {
        "Cmd": command,
        "Tty": tty,
        "AttachStdin": interactive and not detached,
        "AttachStdout": not detached,
        "AttachStderr": not detached,
        "Detach": detached,
        "Privileged": flags.flag("privileged"),
        "User": flags.text("user"),
        "WorkingDir": flags.text("workdir"),
        "Env": env,
        "DetachKeys": flags.text("detach-keys"),
    }
    if not detached:
        try:
            check_terminal(stdin=config["AttachStdin"], tty=tty)
        except CommandFailed:
            app.containers.inspect(container)  # a container that is not there is the worse mistake
            raise
    size = None
    if tty:
        from wherry.cli.terminal import terminal_size

        size = terminal_size()
        if size is not None:
            config["ConsoleSize"] = list(size)
    exec_id = app.exec.create(container, config)
    if detached:
        app.exec.start_detached(exec_id, tty=tty)
        return 0
    return _attached(app, exec_id, tty=tty, interactive=interactive, size=size, keys=flags.text("detach-keys"))


def _attached(
    app: App, exec_id: str, *, tty: bool, interactive: bool, size: tuple[int, int] | None, keys: str
) -> int:
    from wherry.cli.detach_keys import parse_keys
    from wherry.cli.session import Session
    from wherry.cli.signal_relay import SignalRelay
    from wherry.cli.terminal import RawMode, terminal_size

    def resize() -> None:
        now = terminal_size()
        if now is None:
            return
        try:
            app.exec.resize(exec_id, *now)
        except WherryError:
            pass  # it has ended, or begins with the next size

    detach = parse_keys(keys) if tty and interactive else b""
    with SignalRelay(resize=resize if tty else None) as relay, RawMode(0 if tty and interactive else -1):
        stream = app.exec.begin_start(exec_id, tty=tty, size=size).answer().detach()
        try:
            if tty:
                resize()
            if Session(stream, relay, tty=tty, stdin=0 if interactive else None, detach_keys=detach).run():
                return 0
        finally:
            stream.close()
    return int(app.exec.inspect(exec_id)["ExitCode"] or 0)


EXEC = Command(
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    _run,
    options=(
        Option("detach", "d", "bool", "Detached mode: run command in the background"),
        Option("detach-keys", "", "string", "Override the key sequence for detaching a container"),
        Option("env", "e", "list", "Set environment variables", check="option_checks:check_env"),
        Option("env-file", "", "list", "Read in a file of environment variables"),
        Option("interactive", "i", "bool", "Keep STDIN open even if not attached"),
        Option("privileged", "", "bool", "Give extended privileges to the command"),
        Option("tty", "t", "bool", "Allocate a pseudo-TTY"),
        Option("user", "u", "string", 'Username or UID (format: "<name|uid>[:<group|gid>]")'),
        Option("workdir", "w", "string", "Working directory inside the container"),
    ),
    least=2,
    aliases=("container exec", "exec"),
    interspersed=False,
)

"""``system service``: have systemd keep the API's socket."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.options import Option

_ACTIONS = ("install", "uninstall")


def _service(call: Invocation) -> int:
    from wherry import settings
    from wherry.engine import systemd

    action, app = call.args[0], call.app
    if action not in _ACTIONS:
        raise CommandFailed(f"wherry: unknown command: wherry system service {action}\n\nUse install or uninstall")
    if call.flags.flag("user"):
        raise CommandFailed("wherry runs as root only: rootless containers are not there yet")
    directory = call.flags.text("unit-dir") or systemd.UNIT_DIRECTORY
    managed = systemd.runs() and directory == systemd.UNIT_DIRECTORY
    if action == "uninstall":
        if managed:
            systemd.systemctl("disable", "--now", systemd.SOCKET)
        for path in systemd.uninstall(directory):
            app.out(path)
        if managed:
            systemd.systemctl("daemon-reload")
        return 0
    for path in systemd.install(settings.load(), directory):
        app.out(path)
    if managed:
        systemd.systemctl("daemon-reload")
        systemd.systemctl("enable", "--now", systemd.SOCKET)
        app.err("The socket is there now and after a reboot; the engine starts with its first client.")
    else:
        app.err("systemd does not run here. Where it does:")
        app.err(f"  systemctl daemon-reload\n  systemctl enable --now {systemd.SOCKET}")
    return 0


SERVICE = Command(
    "[OPTIONS] install|uninstall",
    "Have systemd keep the API's socket",
    _service,
    options=(
        Option("unit-dir", "", "string", "Where to write the units (default /etc/systemd/system)"),
        Option("user", "", "bool", "For this user's own systemd"),
    ),
    least=1,
    most=1,
)

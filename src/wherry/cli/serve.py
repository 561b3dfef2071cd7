"""``serve`` (the engine in the foreground) and ``system stop``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.options import Option


def _serve(call: Invocation) -> int:
    from wherry import settings
    from wherry.engine import launcher

    flags = call.flags
    overrides: dict[str, object] = {
        "debug": True if call.app.debug else None,
        "data_root": flags.text("data-root") or None,
        "run_root": flags.text("run-root") or None,
        "idle_timeout_seconds": flags.number("idle-timeout") / 1e9 if flags.changed("idle-timeout") else None,
        "registry_mirrors": tuple(flags.many("registry-mirror")) or None,
        "insecure_registries": tuple(flags.many("insecure-registry")) or None,
    }
    launcher.serve(settings.load(overrides))


def _stop(call: Invocation) -> int:
    from wherry import settings
    from wherry.engine import launcher

    launcher.stop_running(settings.load())
    return 0


SERVE = Command(
    "[OPTIONS]",
    "Run the engine in the foreground",
    _serve,
    options=(
        Option("data-root", "", "string", "Root directory of persistent state"),
        Option("idle-timeout", "", "duration", "Leave after this time without clients and work, 0 to stay"),
        Option("insecure-registry", "", "list", "Speak plain HTTP, or HTTPS with any certificate, to this registry"),
        Option("registry-mirror", "", "list", "Preferred registry mirror"),
        Option("run-root", "", "string", "Root directory of sockets and other state that a reboot loses"),
    ),
    most=0,
)
STOP = Command("", "Stop the engine; containers go on", _stop, most=0)

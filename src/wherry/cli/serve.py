"""``serve`` (the engine in the foreground) and ``system stop``."""

import os

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
        "hosts": tuple(flags.many("host")) or None,
        "tls": True if flags.flag("tls") else None,
        "tlsverify": True if flags.flag("tlsverify") else None,
        "tlscacert": _absolute(flags.text("tlscacert")),
        "tlscert": _absolute(flags.text("tlscert")),
        "tlskey": _absolute(flags.text("tlskey")),
        "insecure_registries": tuple(flags.many("insecure-registry")) or None,
    }
    chosen = settings.load(overrides)
    if not flags.flag("detach"):
        launcher.serve(chosen)
    launcher.serve_detached(chosen)
    call.app.out(f"unix://{chosen.api_socket}")
    return 0


def _absolute(path: str) -> str | None:
    return os.path.abspath(path) if path else None


def _stop(call: Invocation) -> int:
    from wherry import settings
    from wherry.engine import launcher

    launcher.stop_running(settings.load())
    return 0


SERVE = Command(
    "[OPTIONS]",
    "Run the engine in the foreground, or keep its socket in the background",
    _serve,
    options=(
        Option("data-root", "", "string", "Root directory of persistent state"),
        Option("detach", "d", "bool", "Run in the background: the socket answers from now on"),
        Option("host", "H", "list", "Listen here too: unix:///path, or tcp://host:port with --tlsverify"),
        Option("idle-timeout", "", "duration", "Leave after this time without clients and work, 0 to stay"),
        Option("insecure-registry", "", "list", "Speak plain HTTP, or HTTPS with any certificate, to this registry"),
        Option("registry-mirror", "", "list", "Preferred registry mirror"),
        Option("run-root", "", "string", "Root directory of sockets and other state that a reboot loses"),
        Option("tls", "", "bool", "Use TLS; implied by --tlsverify"),
        Option("tlscacert", "", "string", "Trust certs signed only by this CA"),
        Option("tlscert", "", "string", "Path to TLS certificate file"),
        Option("tlskey", "", "string", "Path to TLS key file"),
        Option("tlsverify", "", "bool", "Use TLS and verify the remote"),
    ),
    most=0,
)
STOP = Command("", "Stop the engine; containers go on", _stop, most=0)

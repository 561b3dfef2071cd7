"""``port``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.ports import join_host


def _run(call: Invocation) -> int:
    ref, *wanted = call.args
    ports = call.app.containers.inspect(ref)["NetworkSettings"]["Ports"] or {}
    if wanted:
        number, slash, protocol = wanted[0].partition("/")
        if not number.isdigit() or int(number) > 65535:
            raise CommandFailed(f"Error: invalid port ({number})")
        key = f"{number}/{protocol if slash else 'tcp'}"
        if not ports.get(key):
            raise CommandFailed(f"Error: No public port '{key}' published for {ref}")
        lines = [join_host(binding["HostIp"], binding["HostPort"]) for binding in ports[key]]
    else:
        lines = [
            f"{key} -> {join_host(binding['HostIp'], binding['HostPort'])}"
            for key in ports
            for binding in ports[key] or []
        ]
        lines.sort(key=lambda line: (int(line.partition("/")[0]), line))
    for line in lines:
        call.app.out(line)
    return 0


PORT = Command(
    "CONTAINER [PRIVATE_PORT[/PROTO]]",
    "List port mappings or a specific mapping for the container",
    _run,
    least=1,
    most=2,
    aliases=("container port", "port"),
)

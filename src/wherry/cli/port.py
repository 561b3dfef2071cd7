"""``port``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.ports import join_host
from wherry.cli.values import parse_uint


def _run(call: Invocation) -> int:
    ref, *wanted = call.args
    ports = call.app.containers.inspect(ref)["NetworkSettings"]["Ports"] or {}
    if wanted:
        number, slash, protocol = wanted[0].partition("/")
        try:
            parse_uint(number, 16)
        except ValueError as exc:
            raise CommandFailed(f"Error: invalid port ({number}): {exc}") from None
        key = f"{number}/{protocol if slash else 'tcp'}"
        if not ports.get(key):
            raise CommandFailed(f"Error: No public port '{wanted[0]}' published for {ref}")
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

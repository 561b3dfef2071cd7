"""``logs``."""

from wherry.cli.app import write_all
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.options import Option
from wherry.client.streams import STDERR, demultiplex


def _run(call: Invocation) -> int:
    from wherry.cli.timestamps import to_query

    flags, app = call.flags, call.app
    times: list[str] = []
    for name in ("since", "until"):
        try:
            times.append(to_query(flags.text(name)))
        except ValueError as exc:
            raise CommandFailed(f'invalid value for "{name}": {exc}') from None
    container = app.containers.inspect(call.args[0])
    response = app.containers.logs(
        container["Id"],
        follow=flags.flag("follow"),
        since=times[0],
        until=times[1],
        timestamps=flags.flag("timestamps"),
        tail=flags.text("tail"),
        details=flags.flag("details"),
    )
    if container["Config"]["Tty"]:
        for data in response.chunks():
            write_all(1, data)
        return 0
    for stream, piece in demultiplex(response.chunks()):
        write_all(2 if stream == STDERR else 1, piece)
    return 0


LOGS = Command(
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    _run,
    options=(
        Option("details", "", "bool", "Show extra details provided to logs"),
        Option("follow", "f", "bool", "Follow log output"),
        Option("since", "", "string",
               'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'),
        Option("tail", "n", "string", 'Number of lines to show from the end of the logs (default "all")',
               default="all"),
        Option("timestamps", "t", "bool", "Show timestamps"),
        Option("until", "", "string",
               'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)'),
    ),
    least=1,
    most=1,
    aliases=("container logs", "logs"),
)  # fmt: skip

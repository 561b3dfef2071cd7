"""``events``."""

import sys

from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.filters import parse_filters
from wherry.cli.inspect import template_of
from wherry.cli.options import Option
from wherry.cli.output import INSPECT_FORMAT_HELP
from wherry.cli.timestamps import rfc3339_nano, to_query

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def event_line(event: "dict[str, Any]") -> str:
    """``TIME TYPE ACTION ID (name=value, …)``, attributes sorted."""
    line = ""
    if event.get("timeNano"):
        line = f"{rfc3339_nano(event['timeNano'])} "
    elif event.get("time"):
        line = f"{rfc3339_nano(event['time'] * 1_000_000_000)} "
    actor = event.get("Actor") or {}
    line += f"{event.get('Type', '')} {event.get('Action', '')} {actor.get('ID', '')}"
    attributes = actor.get("Attributes") or {}
    if attributes:
        line += " (" + ", ".join(f"{name}={attributes[name]}" for name in sorted(attributes)) + ")"
    return line


def _run(call: Invocation) -> int:
    flags = call.flags
    template = template_of(flags.text("format"))
    try:
        since, until = to_query(flags.text("since")), to_query(flags.text("until"))
    except ValueError as exc:
        raise CommandFailed(str(exc)) from None
    for event in call.app.system.events(since=since, until=until, filters=parse_filters(flags.many("filter"))):
        call.app.out(template(event) if template is not None else event_line(event))
        sys.stdout.flush()
    return 0


EVENTS = Command(
    "[OPTIONS]",
    "Get real time events from the server",
    _run,
    options=(
        Option("filter", "f", "list", "Filter output based on conditions provided", metavar="filter",
               check="filters:check_filter"),
        Option("format", "", "string", INSPECT_FORMAT_HELP),
        Option("since", "", "string", "Show all events created since timestamp"),
        Option("until", "", "string", "Stream events until this timestamp"),
    ),
    most=0,
    aliases=("system events", "events"),
)  # fmt: skip

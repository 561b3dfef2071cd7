"""``history``."""

import time

from wherry.cli.command import Command, Invocation
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, print_rows
from wherry.cli.text import ellipsis, short_id
from wherry.cli.units import human_duration, human_size

COLUMNS = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}


def _run(call: Invocation) -> int:
    flags, form = call.flags, call.flags.text("format")
    human, truncate = flags.flag("human"), not flags.flag("no-trunc")
    now = time.time()
    rows = []
    for layer in call.app.images.history(call.args[0]):
        created = layer["Created"]
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(created)) + _zone(created)
        command = (layer.get("CreatedBy") or "").replace("\t", " ")
        rows.append(
            {
                "ID": short_id(layer["Id"]) if truncate else layer["Id"],
                "CreatedSince": (_since(now, created) if human else moment),
                "CreatedAt": moment,
                "CreatedBy": ellipsis(command, 45) if truncate else command,
                "Size": human_size(layer["Size"]) if human else str(layer["Size"]),
                "Comment": layer.get("Comment") or "",
            }
        )
    if flags.flag("quiet") and form in ("", "table"):
        for row in rows:
            call.app.out(row["ID"])
        return 0
    columns = COLUMNS if human else ("ID", "CreatedAt", "CreatedBy", "Size", "Comment")
    print_rows(call.app, rows, columns, HEADERS, form, "*image.historyContext")
    return 0


def _since(now: float, created: int) -> str:
    return human_duration(now - created) + " ago" if created > 0 else "N/A"


def _zone(seconds: int) -> str:
    moment = time.localtime(seconds)
    zone = time.strftime("%z", moment)
    return "Z" if moment.tm_gmtoff == 0 else f"{zone[:3]}:{zone[3:]}"


HISTORY = Command(
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    _run,
    options=(
        Option("format", "", "string", FORMAT_HELP),
        Option("human", "H", "bool", "Print sizes and dates in human readable format (default true)", default=True),
        Option("no-trunc", "", "bool", "Don't truncate output"),
        Option("quiet", "q", "bool", "Only show image IDs"),
    ),
    least=1,
    most=1,
    aliases=("image history", "history"),
)

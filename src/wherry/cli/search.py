"""``search``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.filters import parse_filters
from wherry.cli.options import Option
from wherry.cli.output import print_rows
from wherry.cli.text import ellipsis

COLUMNS = ("Name", "Description", "StarCount", "IsOfficial")
HEADERS = {
    "Name": "NAME",
    "Description": "DESCRIPTION",
    "StarCount": "STARS",
    "IsOfficial": "OFFICIAL",
}


def _run(call: Invocation) -> int:
    from wherry.client.credentials import registry_auth  # start-up cost: json and subprocess

    flags, term = call.flags, call.args[0]
    found = call.app.images.search(
        term,
        limit=flags.number("limit"),
        filters=parse_filters(flags.many("filter")),
        registry_auth=registry_auth(term),
    )
    form = flags.text("format")
    official = ("false", "true") if form == "json" or "{{json .}}" in form else ("", "[OK]")
    rows = []
    for result in found:
        description = (result.get("description") or "").replace("\n", " ").replace("\r", " ")
        rows.append(
            {
                "Name": result.get("name", ""),
                "Description": description if flags.flag("no-trunc") else ellipsis(description, 45),
                "StarCount": str(result.get("star_count") or 0),
                "IsOfficial": official[bool(result.get("is_official"))],
            }
        )
    print_rows(call.app, rows, COLUMNS, HEADERS, form, "*registry.searchContext")
    return 0


SEARCH = Command(
    "[OPTIONS] TERM",
    "Search Docker Hub for images",
    _run,
    options=(
        Option("filter", "f", "list", "Filter output based on conditions provided", metavar="filter",
               check="filters:check_filter"),
        Option("format", "", "string", "Pretty-print search using a Go template"),
        Option("limit", "", "int", "Max number of search results"),
        Option("no-trunc", "", "bool", "Don't truncate output"),
    ),
    least=1,
    most=1,
)  # fmt: skip

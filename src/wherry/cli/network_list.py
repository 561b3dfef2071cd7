"""``network ls``."""

import time

from wherry.cli.command import Command, Invocation
from wherry.cli.filters import parse_filters
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, print_rows
from wherry.cli.timestamps import parse_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = ("ID", "Name", "Driver", "Scope")
HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}


def network_row(network: "dict[str, Any]", *, truncate: bool) -> "dict[str, Any]":
    """A network as the fields of Docker's networkContext."""
    labels = network.get("Labels") or {}
    return {
        "ID": network["Id"][:12] if truncate else network["Id"],
        "Name": network["Name"],
        "Driver": network["Driver"],
        "Scope": network["Scope"],
        "IPv4": _truth(network.get("EnableIPv4")),
        "IPv6": _truth(network.get("EnableIPv6")),
        "Internal": _truth(network.get("Internal")),
        "Labels": ",".join(f"{name}={labels[name]}" for name in sorted(labels)),
        "Label": lambda name: labels.get(name, ""),
        "CreatedAt": _created(network.get("Created") or ""),
    }


def _truth(value: object) -> str:
    return "true" if value else "false"


def _created(text: str) -> str:
    """Go's Time.String of the API's time, which keeps its zone and its fraction."""
    try:
        seconds = parse_time(text)
    except ValueError:
        return text
    fraction = text.partition(".")[2].rstrip("Zz").partition("+")[0].partition("-")[0].rstrip("0")
    stamp = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    return f"{stamp}.{fraction} +0000 UTC" if fraction else f"{stamp} +0000 UTC"


def _run(call: Invocation) -> int:
    flags, form = call.flags, call.flags.text("format")
    networks = call.app.networks.list(filters=parse_filters(flags.many("filter")))
    truncate = not flags.flag("no-trunc")
    rows = [
        network_row(network, truncate=truncate)
        for network in sorted(networks, key=lambda network: (str(network["Name"]), str(network["Id"])))
    ]
    if flags.flag("quiet") and form in ("", "table"):
        for row in rows:
            call.app.out(row["ID"])
        return 0
    print_rows(call.app, rows, COLUMNS, HEADERS, form, "*network.networkContext")
    return 0


LIST = Command(
    "[OPTIONS]",
    "List networks",
    _run,
    options=(
        Option("filter", "f", "list", 'Provide filter values (e.g. "driver=bridge")', metavar="filter",
               check="filters:check_filter"),
        Option("format", "", "string", FORMAT_HELP),
        Option("no-trunc", "", "bool", "Do not truncate the output"),
        Option("quiet", "q", "bool", "Only display network IDs"),
    ),
    most=0,
    aliases=("network ls", "network list"),
)  # fmt: skip

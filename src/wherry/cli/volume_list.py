"""``volume ls``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.filters import parse_filters
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, print_rows
from wherry.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEADERS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
    "Status": "STATUS",
}


def volume_row(volume: "dict[str, Any]") -> "dict[str, Any]":
    """A volume as the fields of Docker's volumeContext."""
    labels = volume.get("Labels") or {}
    usage = volume.get("UsageData")
    return {
        "Name": volume["Name"],
        "Driver": volume["Driver"],
        "Scope": volume.get("Scope", ""),
        "Mountpoint": volume.get("Mountpoint", ""),
        "Labels": ",".join(f"{name}={labels[name]}" for name in sorted(labels)),
        "Label": lambda name: labels.get(name, ""),
        "Links": str(usage["RefCount"]) if usage else "N/A",
        "Size": human_size(usage["Size"]) if usage else "N/A",
        "Availability": "N/A",
        "Group": "N/A",
        "Status": "N/A",
    }


def _run(call: Invocation) -> int:
    flags, form = call.flags, call.flags.text("format")
    volumes = call.app.volumes.list(filters=parse_filters(flags.many("filter"))).get("Volumes") or []
    rows = [volume_row(volume) for volume in sorted(volumes, key=lambda volume: str(volume["Name"]))]
    if flags.flag("quiet") and form in ("", "table"):
        for row in rows:
            call.app.out(row["Name"])
        return 0
    print_rows(call.app, rows, ("Driver", "Name"), HEADERS, form, "*formatter.volumeContext")
    return 0


LIST = Command(
    "[OPTIONS]",
    "List volumes",
    _run,
    options=(
        Option("filter", "f", "list", 'Provide filter values (e.g. "dangling=true")', metavar="filter",
               check="filters:check_filter"),
        Option("format", "", "string", FORMAT_HELP),
        Option("quiet", "q", "bool", "Only display volume names"),
    ),
    most=0,
    aliases=("volume ls", "volume list"),
)  # fmt: skip

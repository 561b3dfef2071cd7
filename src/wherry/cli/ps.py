"""``ps``."""

import time

from wherry.cli.command import Command, Invocation
from wherry.cli.filters import parse_filters
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, print_rows
from wherry.cli.ports import display_ports
from wherry.cli.text import ellipsis, go_quote
from wherry.cli.timestamps import local_time
from wherry.cli.units import human_duration, human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")
HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "State": "STATE",
    "Size": "SIZE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}


def container_row(container: "dict[str, Any]", *, truncate: bool, now: float) -> "dict[str, Any]":
    """A container summary as the fields of Docker's ContainerContext."""
    labels = container.get("Labels") or {}
    names = [name.removeprefix("/") for name in container.get("Names") or []]
    if truncate:
        names = [name for name in names if "/" not in name] or names
    command = container.get("Command") or ""
    mounts = [mount.get("Name") or mount.get("Source") or "" for mount in container.get("Mounts") or []]
    if truncate:
        mounts = [ellipsis(mount, 15) for mount in mounts]
    return {
        "ID": container["Id"][:12] if truncate else container["Id"],
        "Names": ",".join(names),
        "Image": _image(container, truncate=truncate),
        "Command": go_quote(ellipsis(command, 20) if truncate else command),
        "CreatedAt": local_time(container["Created"]),
        "RunningFor": human_duration(now - container["Created"]) + " ago",
        "Ports": display_ports(container.get("Ports") or []),
        "State": container.get("State", ""),
        "Status": container.get("Status", ""),
        "Size": _size(container),
        "Labels": ",".join(f"{name}={value}" for name, value in sorted(labels.items())),
        "Label": lambda name: labels.get(name, ""),
        "Mounts": ",".join(mounts),
        "LocalVolumes": str(sum(mount.get("Driver") == "local" for mount in container.get("Mounts") or [])),
        "Networks": ",".join((container.get("NetworkSettings") or {}).get("Networks") or {}),
        "Platform": _platform(container),
    }


def _image(container: "dict[str, Any]", *, truncate: bool) -> str:
    image: str = container.get("Image") or "<no image>"
    if truncate and image.startswith("sha256:"):
        return image[7:19]
    return image


def _size(container: "dict[str, Any]") -> str:
    written = human_size(container.get("SizeRw") or 0)
    virtual = container.get("SizeRootFs") or 0
    return f"{written} (virtual {human_size(virtual)})" if virtual > 0 else written


def _platform(container: "dict[str, Any]") -> str | None:
    platform = (container.get("ImageManifestDescriptor") or {}).get("platform")
    if platform is None:
        return None
    return "/".join(filter(None, (platform.get("os"), platform.get("architecture"), platform.get("variant"))))


def _run(call: Invocation) -> int:
    flags, form = call.flags, call.flags.text("format")
    limit = flags.number("last")
    if flags.flag("latest") and not flags.flag("all") and limit == -1:
        limit = 1
    quiet = flags.flag("quiet")
    containers = call.app.containers.list(
        all=flags.flag("all"),
        limit=limit if limit > 0 else None,
        size=flags.flag("size") or (not quiet and (".Size" in form or "json ." in form)),
        filters=parse_filters(flags.many("filter")),
    )
    truncate = not flags.flag("no-trunc")
    if quiet and form in ("", "table"):
        for container in containers:
            call.app.out(container["Id"][:12] if truncate else container["Id"])
        return 0
    now = time.time()
    rows = [container_row(container, truncate=truncate, now=now) for container in containers]
    columns = (*COLUMNS, "Size") if flags.flag("size") else COLUMNS
    complaints = ("failed to parse template", "failed to execute template")
    print_rows(call.app, rows, columns, HEADERS, form, "*formatter.ContainerContext", complaints=complaints)
    return 0


PS = Command(
    "[OPTIONS]",
    "List containers",
    _run,
    options=(
        Option("all", "a", "bool", "Show all containers (default shows just running)"),
        Option("filter", "f", "list", "Filter output based on conditions provided", metavar="filter",
               check="filters:check_filter"),
        Option("format", "", "string", FORMAT_HELP),
        Option("last", "n", "int", "Show n last created containers (includes all states) (default -1)", default=-1),
        Option("latest", "l", "bool", "Show the latest created container (includes all states)"),
        Option("no-trunc", "", "bool", "Don't truncate output"),
        Option("quiet", "q", "bool", "Only display container IDs"),
        Option("size", "s", "bool", "Display total file sizes"),
    ),
    most=0,
    aliases=("container ls", "container list", "container ps", "ps"),
)  # fmt: skip

"""The ``prune`` commands: what will go is named, asked for, removed, and reported."""

import sys

from wherry.cli.app import App
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed
from wherry.cli.filters import parse_filters
from wherry.cli.options import Option
from wherry.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.client.containers import Filters

_QUESTION = "Are you sure you want to continue? [y/N] "


def _option_filter(example: str) -> Option:
    return Option(
        "filter",
        "",
        "list",
        f'Provide filter values (e.g. "{example}")',
        metavar="filter",
        check="filters:check_filter",
    )


_FORCE = Option("force", "f", "bool", "Do not prompt for confirmation")


def confirm(app: App, warning: str) -> bool:
    """Ask on stdout, read a line from stdin; only y and Y mean yes."""
    sys.stdout.write(f"{warning}\n{_QUESTION}")
    sys.stdout.flush()
    return sys.stdin.readline().strip().lower() == "y"


def _asked(call: Invocation, warning: str) -> bool:
    return call.flags.flag("force") or confirm(call.app, warning)


def _report(app: App, title: str, lines: list[str], reclaimed: int | None) -> None:
    if lines:
        app.out("\n".join([title, *lines, ""]))
    if reclaimed is not None:
        app.out(f"Total reclaimed space: {human_size(reclaimed)}")


def _image_lines(rows: "list[dict[str, Any]] | None") -> list[str]:
    return [
        f"deleted: {row['Deleted']}" if row.get("Deleted") else f"untagged: {row.get('Untagged', '')}"
        for row in rows or []
    ]


def _containers(call: Invocation) -> int:
    if not _asked(call, "WARNING! This will remove all stopped containers."):
        return 0
    report = call.app.containers.prune(parse_filters(call.flags.many("filter")))
    _report(call.app, "Deleted Containers:", report.get("ContainersDeleted") or [], report["SpaceReclaimed"])
    return 0


def _images(call: Invocation) -> int:
    everything = call.flags.flag("all")
    warning = (
        "WARNING! This will remove all images without at least one container associated to them."
        if everything
        else "WARNING! This will remove all dangling images."
    )
    if not _asked(call, warning):
        return 0
    report = call.app.images.prune(_image_filters(call, everything=everything))
    _report(call.app, "Deleted Images:", _image_lines(report.get("ImagesDeleted")), report["SpaceReclaimed"])
    return 0


def _image_filters(call: Invocation, *, everything: bool) -> "Filters":
    filters = parse_filters(call.flags.many("filter"))
    filters["dangling"] = {"false" if everything else "true": True}
    return filters


def _networks(call: Invocation) -> int:
    if not _asked(call, "WARNING! This will remove all custom networks not used by at least one container."):
        return 0
    report = call.app.networks.prune(parse_filters(call.flags.many("filter")))
    _report(call.app, "Deleted Networks:", report.get("NetworksDeleted") or [], None)
    return 0


def _volumes(call: Invocation) -> int:
    everything = call.flags.flag("all")
    kind = "all" if everything else "anonymous"
    if not _asked(call, f"WARNING! This will remove {kind} local volumes not used by at least one container."):
        return 0
    filters = parse_filters(call.flags.many("filter"))
    if everything:
        if "all" in filters:
            raise CommandFailed("conflicting options: cannot specify both --all and --filter all=1")
        filters["all"] = {"true": True}
    report = call.app.volumes.prune(filters)
    _report(call.app, "Deleted Volumes:", report.get("VolumesDeleted") or [], report["SpaceReclaimed"])
    return 0


def _system(call: Invocation) -> int:
    flags, app = call.flags, call.app
    everything, volumes = flags.flag("all"), flags.flag("volumes")
    given = flags.many("filter")
    filters = parse_filters(given)
    if volumes and "until" in filters:
        raise CommandFailed('ERROR: The "until" filter is not supported with "--volumes"')
    if not _asked(call, _system_warning(given, everything=everything, volumes=volumes)):
        return 0
    reclaimed = 0
    containers = app.containers.prune(filters)
    reclaimed += containers["SpaceReclaimed"]
    _report(app, "Deleted Containers:", containers.get("ContainersDeleted") or [], None)
    networks = app.networks.prune(filters)
    _report(app, "Deleted Networks:", networks.get("NetworksDeleted") or [], None)
    if volumes:
        report = app.volumes.prune(filters)
        reclaimed += report["SpaceReclaimed"]
        _report(app, "Deleted Volumes:", report.get("VolumesDeleted") or [], None)
    images = app.images.prune(_image_filters(call, everything=everything))
    reclaimed += images["SpaceReclaimed"]
    _report(app, "Deleted Images:", _image_lines(images.get("ImagesDeleted")), reclaimed)
    return 0


def _system_warning(filters: list[str], *, everything: bool, volumes: bool) -> str:
    items = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        items.append("all anonymous volumes not used by at least one container")
    items.append(
        "all images without at least one container associated to them" if everything else "all dangling images"
    )
    items.append("all build cache" if everything else "unused build cache")
    lines = ["WARNING! This will remove:", *(f"  - {item}" for item in items), ""]
    if filters:
        lines += ["  Items to be pruned will be filtered with:", *(f"  - {entry}" for entry in sorted(filters)), ""]
    return "\n".join(lines)


CONTAINER_PRUNE = Command(
    "[OPTIONS]",
    "Remove all stopped containers",
    _containers,
    options=(_option_filter("until=<timestamp>"), _FORCE),
    most=0,
)
IMAGE_PRUNE = Command(
    "[OPTIONS]",
    "Remove unused images",
    _images,
    options=(
        Option("all", "a", "bool", "Remove all unused images, not just dangling ones"),
        _option_filter("until=<timestamp>"),
        _FORCE,
    ),
    most=0,
)
NETWORK_PRUNE = Command(
    "[OPTIONS]",
    "Remove all unused networks",
    _networks,
    options=(_option_filter("until=<timestamp>"), _FORCE),
    most=0,
)
VOLUME_PRUNE = Command(
    "[OPTIONS]",
    "Remove unused local volumes",
    _volumes,
    options=(
        Option("all", "a", "bool", "Remove all unused volumes, not just anonymous ones"),
        _option_filter("label=<label>"),
        _FORCE,
    ),
    most=0,
)
SYSTEM_PRUNE = Command(
    "[OPTIONS]",
    "Remove unused data",
    _system,
    options=(
        Option("all", "a", "bool", "Remove all unused images not just dangling ones"),
        _option_filter("label=<key>=<value>"),
        _FORCE,
        Option("volumes", "", "bool", "Prune anonymous volumes"),
    ),
    most=0,
)

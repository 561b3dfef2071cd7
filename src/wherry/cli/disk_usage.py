"""``system df``."""

import time

from wherry.cli import images, ps
from wherry.cli.command import Command, Invocation
from wherry.cli.options import Option
from wherry.cli.output import FORMAT_HELP, format_rows, print_rows
from wherry.cli.reference import split_reference
from wherry.cli.units import human_size, human_size_4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

COLUMNS = ("Type", "TotalCount", "Active", "Size", "Reclaimable")
HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_CACHE_HEADERS = {
    name: name for name in ("CACHE ID", "CACHE TYPE", "SIZE", "CREATED", "LAST USED", "USAGE", "SHARED")
}
_RUNNING = ("running", "paused", "restarting")


def usage_rows(usage: "dict[str, Any]") -> "list[dict[str, Any]]":
    """The four lines of the summary."""
    found = usage.get("Images") or []
    total = int(usage.get("LayersSize") or 0)
    used = [image for image in found if image.get("Containers", 0) > 0]
    in_use = sum(image["Size"] - max(image.get("SharedSize", 0), 0) for image in used)
    shared = max((max(image.get("SharedSize", 0), 0) for image in used), default=0)
    containers = usage.get("Containers") or []
    running = [container for container in containers if container["State"] in _RUNNING]
    written = sum(container.get("SizeRw") or 0 for container in containers)
    idle = sum(container.get("SizeRw") or 0 for container in containers if container["State"] not in _RUNNING)
    volumes = [volume for volume in usage.get("Volumes") or [] if volume.get("UsageData")]
    volume_size = sum(max(volume["UsageData"]["Size"], 0) for volume in volumes)
    bound = [volume for volume in volumes if volume["UsageData"]["RefCount"] > 0]
    unbound = sum(max(volume["UsageData"]["Size"], 0) for volume in volumes if volume not in bound)
    cache = usage.get("BuildCache") or []
    cached = sum(record["Size"] for record in cache if not record.get("Shared"))
    cache_free = sum(record["Size"] for record in cache if not record.get("InUse") and not record.get("Shared"))
    return [
        _row("Images", len(found), len(used), total, max(total - in_use - shared, 0)),
        _row("Containers", len(containers), len(running), written, idle),
        _row("Local Volumes", len(volumes), len(bound), volume_size, unbound),
        {**_row("Build Cache", len(cache), sum(bool(record.get("InUse")) for record in cache), cached, 0),
         "Reclaimable": human_size(cache_free)},
    ]  # fmt: skip


def _row(kind: str, count: int, active: int, size: int, reclaimable: int) -> "dict[str, Any]":
    percent = f" ({reclaimable * 100 // size}%)" if size > 0 else ""
    return {
        "Type": kind,
        "TotalCount": str(count),
        "Active": str(active),
        "Size": human_size_4(size),
        "Reclaimable": human_size_4(reclaimable) + percent,
    }


def _run(call: Invocation) -> int:
    usage = call.app.system.disk_usage()
    form = call.flags.text("format")
    if call.flags.flag("verbose"):
        call.app.out(_verbose(usage))
        return 0
    print_rows(call.app, usage_rows(usage), COLUMNS, HEADERS, form, "*formatter.diskUsageImagesContext")
    return 0


def _verbose(usage: "dict[str, Any]") -> str:
    now = time.time()
    image_rows = []
    for image in usage.get("Images") or []:
        tags = image.get("RepoTags") or ["<none>:<none>"]
        repository, tag = split_reference(tags[0])
        row = images.image_row(image, repository, tag, "<none>", truncate=True, now=now)
        shared = max(image.get("SharedSize", 0), 0)
        row |= {"SharedSize": human_size_4(shared), "UniqueSize": human_size_4(image["Size"] - shared)}
        image_rows.append(row)
    container_rows = [
        ps.container_row(container, truncate=True, now=now) | {"Size": human_size(container.get("SizeRw") or 0)}
        for container in usage.get("Containers") or []
    ]
    volume_rows = [
        {
            "Name": volume["Name"],
            "Links": str(volume["UsageData"]["RefCount"]),
            "Size": human_size(volume["UsageData"]["Size"]),
        }
        for volume in usage.get("Volumes") or []
        if volume.get("UsageData")
    ]
    image_columns = ("Repository", "Tag", "ID", "CreatedSince", "Size", "SharedSize", "UniqueSize", "Containers")
    container_columns = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
    return (
        "Images space usage:\n\n"
        + format_rows(image_rows, image_columns, images.HEADERS, "", "")
        + "\nContainers space usage:\n\n"
        + format_rows(container_rows, container_columns, ps.HEADERS, "", "")
        + "\nLocal Volumes space usage:\n\n"
        + format_rows(
            volume_rows,
            ("Name", "Links", "Size"),
            {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"},
            "",
            "",
        )
        + f"\nBuild cache usage: {human_size(sum(record['Size'] for record in usage.get('BuildCache') or []))}\n\n"
        + format_rows([], tuple(_CACHE_HEADERS), _CACHE_HEADERS, "", "")[:-1]
    )


DISK_USAGE = Command(
    "[OPTIONS]",
    "Show wherry disk usage",
    _run,
    options=(
        Option("format", "", "string", FORMAT_HELP),
        Option("verbose", "v", "bool", "Show detailed information on space usage"),
    ),
    most=0,
)

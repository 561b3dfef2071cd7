"""``docker ps``: the summary of every container, filtered. From memory, but for sizes."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from wherry.containers.container import Container, Status
from wherry.containers.inspect import endpoints, mount_point
from wherry.containers.links import link_names
from wherry.containers.list_filters import ListFilter
from wherry.containers.services import Services
from wherry.containers.sizes import sizes_of
from wherry.containers.status_text import status_text

_NANOSECONDS = 1_000_000_000


def list_containers(
    services: Services,
    *,
    all: bool = False,
    limit: int = 0,
    size: bool = False,
    filters: Mapping[str, Sequence[str]] | None = None,
) -> list[dict[str, Any]]:
    """Docker's ContainerSummary objects, newest first. Without ``all`` only running ones, unless a limit or a
    filter on the state asks for more."""
    wanted = ListFilter(services, filters or {})
    every = all or limit > 0 or wanted.includes_stopped
    now = time.time_ns()
    result = []
    containers = services.containers.all()
    names = link_names(services.containers, containers)
    for container in containers:
        if not every and not container.running:
            continue
        with container.lock:
            if container.removed or not wanted.matches(container):
                continue
            summary = _summary(container, names.get(container.id, []), now)
        if size:
            summary["SizeRw"], summary["SizeRootFs"] = sizes_of(services, container)
        result.append(summary)
        if 0 < limit <= len(result):
            break
    return result


def _summary(container: Container, link_names: list[str], now_ns: int) -> dict[str, Any]:
    record = container.record
    host = record.host_config
    host_summary: dict[str, Any] = {"NetworkMode": host.network_mode}
    if host.annotations:
        host_summary["Annotations"] = host.annotations
    return {
        "Id": record.id,
        "Names": [f"/{record.name}", *sorted(link_names)],
        "Image": record.config.image,
        "ImageID": record.image_id,
        "Command": " ".join((record.path, *(_quoted(arg) for arg in record.args))),
        "Created": record.created_ns // _NANOSECONDS,
        "Ports": ports(container),
        "Labels": record.config.labels or {},
        "State": str(container.state.status),
        "Status": status_text(container, now_ns),
        "HostConfig": host_summary,
        "NetworkSettings": {"Networks": endpoints(container)},
        "Mounts": [mount_point(point) for point in record.mounts],
    }


def _quoted(argument: str) -> str:
    # moby: an argument with a space is shown in single quotes.
    return f"'{argument}'" if " " in argument else argument


def ports(container: Container) -> list[dict[str, Any]]:
    """Docker's Port objects: published ones with their host side, exposed ones without."""
    if container.state.status not in (Status.RUNNING, Status.PAUSED, Status.RESTARTING):
        return []
    result: list[dict[str, Any]] = []
    for key, bindings in (container.record.network_settings.get("Ports") or {}).items():
        port, _, protocol = key.partition("/")
        if not bindings:
            result.append({"PrivatePort": int(port), "Type": protocol})
        for binding in bindings or ():
            result.append(
                {
                    "IP": binding["HostIp"],
                    "PrivatePort": int(port),
                    "PublicPort": int(binding["HostPort"]),
                    "Type": protocol,
                }
            )
    return result

"""Remove all stopped containers."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from wherry.containers.container import Container, Status
from wherry.containers.list_filters import has_label
from wherry.containers.remove import remove
from wherry.containers.services import Services
from wherry.containers.sizes import sizes_of
from wherry.containers.times import until_ns
from wherry.errors import Conflict, NotFound


def prune(services: Services, filters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Docker's ContainerPruneResponse. ``filters``: until, label, label!."""
    limit = until_ns(filters.get("until", ()), time.time_ns())
    deleted, reclaimed = [], 0
    for container in services.containers.all():
        if container.state.status not in (Status.CREATED, Status.EXITED, Status.DEAD):
            continue
        if not _matches(container, filters) or (limit is not None and container.record.created_ns > limit):
            continue
        size, _ = sizes_of(services, container)
        try:
            remove(services, container.id)
        except (Conflict, NotFound):
            continue  # started, or removed by somebody else, since the listing
        deleted.append(container.id)
        reclaimed += size
    services.events.publish("container", "prune", "", {"reclaimed": str(reclaimed)})
    return {"ContainersDeleted": deleted or None, "SpaceReclaimed": reclaimed}


def _matches(container: Container, filters: Mapping[str, Sequence[str]]) -> bool:
    labels = container.record.config.labels or {}
    return all(has_label(labels, w) for w in filters.get("label", ())) and not any(
        has_label(labels, w) for w in filters.get("label!", ())
    )

"""``docker system df``: what images, containers and volumes take."""

from collections.abc import Sequence
from typing import Any

from wherry.containers.list import list_containers
from wherry.engine.engine import Engine
from wherry.volumes import listing


def disk_usage(engine: Engine, types: Sequence[str] = ()) -> dict[str, Any]:
    """Docker's GET /system/df; ``types`` empty is all of container, image, volume, build-cache. What was not asked
    for is None, as in dockerd."""
    wanted = set(types) or {"container", "image", "volume", "build-cache"}
    result: dict[str, Any] = {"LayersSize": 0, "Images": None, "Containers": None, "Volumes": None}
    result["BuildCache"] = [] if "build-cache" in wanted else None
    if "image" in wanted:
        result["LayersSize"] = engine.images.layers_size()
        result["Images"] = engine.images.summaries(all=True, shared_size=True, count_containers=True)
    if "container" in wanted:
        result["Containers"] = list_containers(engine.services, all=True, size=True)
    if "volume" in wanted:
        result["Volumes"] = listing.usage(engine.volumes)
    return result

"""Remove a network that a container may just be leaving, one or all that nobody uses."""

import time
from collections.abc import Mapping, Sequence

from wherry.containers.list_filters import has_label
from wherry.containers.services import Services
from wherry.containers.times import parse_time_ns, until_ns
from wherry.errors import Forbidden, NotFound
from wherry.network.controller import NetworkInUse
from wherry.network.store import NetworkRecord

_ENDINGS_SECONDS = 2.0


def remove_network(services: Services, reference: str) -> None:
    """NetworkInUse when containers are on it; one that is just over is waited for."""
    ending = services.endings.pending()
    try:
        services.networks.remove(reference)
    except NetworkInUse:
        if not services.endings.wait(ending, _ENDINGS_SECONDS):
            raise
        services.networks.remove(reference)


def prune_networks(services: Services, filters: Mapping[str, Sequence[str]]) -> list[str]:
    """The names of the user-defined networks that were removed. ``filters``: until, label, label!."""
    limit = until_ns(filters.get("until", ()), time.time_ns())
    deleted = []
    for record in services.networks.networks():
        if record.predefined or not _matches(record, filters):
            continue
        if limit is not None and parse_time_ns(record.created, 0) > limit:
            continue
        try:
            remove_network(services, record.id)
        except (Forbidden, NotFound):
            continue  # in use, or removed by somebody else
        deleted.append(record.name)
    services.events.publish("network", "prune", "", {"reclaimed": "0"})
    return deleted


def _matches(record: NetworkRecord, filters: Mapping[str, Sequence[str]]) -> bool:
    labels = record.config.labels
    return all(has_label(labels, wanted) for wanted in filters.get("label", ())) and not any(
        has_label(labels, unwanted) for unwanted in filters.get("label!", ())
    )

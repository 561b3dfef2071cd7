"""Docker's container events and their attributes."""

from collections.abc import Mapping

from wherry.containers.container import Container
from wherry.events.bus import EventBus


def publish(
    events: EventBus,
    container: Container,
    action: str,
    attributes: Mapping[str, str] | None = None,
    *,
    told_ns: int = 0,
) -> None:
    """Tell that ``action`` happened: the labels, the image and the name go along, as dockerd sends them. What a
    monitor told (``told_ns``: when) is published once, whichever engine heard of it."""
    record = container.record
    if told_ns and events.was_told(record.id, told_ns):
        return
    events.publish(
        "container",
        action,
        record.id,
        {**(record.config.labels or {}), "image": record.config.image, "name": record.name, **(attributes or {})},
        told_ns=told_ns,
    )

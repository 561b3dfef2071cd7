"""Docker's container events and their attributes."""

from collections.abc import Mapping

from wherry.containers.container import Container
from wherry.events.bus import EventBus


def publish(events: EventBus, container: Container, action: str, attributes: Mapping[str, str] | None = None) -> None:
    """Tell that ``action`` happened: the labels, the image and the name go along, as dockerd sends them."""
    record = container.record
    events.publish(
        "container",
        action,
        record.id,
        {**(record.config.labels or {}), "image": record.config.image, "name": record.name, **(attributes or {})},
    )

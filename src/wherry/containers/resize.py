"""Set the size of a container's terminal."""

from wherry.containers.container_events import publish
from wherry.containers.services import Services
from wherry.errors import Conflict
from wherry.monitor.client import MonitorGone


def resize(services: Services, reference: str, *, height: int, width: int) -> None:
    """Conflict when the container does not run."""
    container = services.containers.get(reference)
    connection = container.connection
    if connection is None or not container.running:
        raise Conflict(f"Container {container.id} is not running")
    try:
        connection.resize(height, width)
    except MonitorGone as exc:
        raise Conflict(f"Container {container.id} is not running") from exc
    publish(services.events, container, "resize", {"height": str(height), "width": str(width)})

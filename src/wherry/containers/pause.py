"""Freeze and thaw all processes of a container."""

from wherry.containers.container import Container, Status, Trigger
from wherry.containers.container_events import publish
from wherry.containers.services import Services
from wherry.errors import Conflict
from wherry.monitor.client import MonitorConnection


def pause(services: Services, reference: str) -> None:
    """Conflict with Docker's text when it does not run, is paused, or restarts."""
    container = services.containers.get(reference)
    if container.state.status is Status.PAUSED:
        raise Conflict(f"Container {container.id} is already paused")
    connection = _connection(container)
    connection.pause()
    with container.lock:
        if container.state.status is Status.RUNNING:
            container.move(Trigger.PAUSE)
            publish(services.events, container, "pause")


def unpause(services: Services, reference: str) -> None:
    """Conflict with Docker's text when it is not paused."""
    container = services.containers.get(reference)
    if container.state.status is not Status.PAUSED:
        raise Conflict(f"Container {container.id} is not paused")
    _connection(container).resume()
    with container.lock:
        if container.state.status is Status.PAUSED:
            container.move(Trigger.UNPAUSE)
            publish(services.events, container, "unpause")


def _connection(container: Container) -> MonitorConnection:
    connection = container.connection
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if connection is None or not container.running:
        raise Conflict(f"container {container.id} is not running")
    return connection

"""Freeze and thaw all processes of a container."""

from collections.abc import Callable

from wherry.containers.container import Container, Status
from wherry.containers.services import Services
from wherry.errors import Conflict
from wherry.monitor.client import MonitorConnection, MonitorGone


def pause(services: Services, reference: str) -> None:
    """Conflict with Docker's text when it does not run, is paused, or restarts."""
    container = services.containers.get(reference)
    if container.state.status is Status.PAUSED:
        raise Conflict(f"Container {container.id} is already paused")
    connection = _connection(container)
    _ask(container, connection, connection.pause)


def unpause(services: Services, reference: str) -> None:
    """Conflict with Docker's text when it is not paused."""
    container = services.containers.get(reference)
    if container.state.status is not Status.PAUSED:
        raise Conflict(f"Container {container.id} is not paused")
    connection = _connection(container)
    _ask(container, connection, connection.resume)


def _ask(container: Container, connection: MonitorConnection, verb: Callable[[], None]) -> None:
    """The state follows the monitor's events alone (``lifecycle.py``): of two verbs at once the later one counts."""
    try:
        verb()
    except MonitorGone as exc:
        raise Conflict(f"container {container.id} is not running") from exc
    connection.settle()


def _connection(container: Container) -> MonitorConnection:
    connection = container.connection
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if connection is None or not container.running:
        raise Conflict(f"container {container.id} is not running")
    return connection

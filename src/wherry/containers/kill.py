"""Send a signal to a container's init."""

import signal as signals

from wherry.containers.container import Container, Status
from wherry.containers.container_events import publish
from wherry.containers.services import Services
from wherry.containers.signals import DEFAULT_STOP_SIGNAL, parse_signal
from wherry.errors import Conflict, NotFound
from wherry.monitor.client import MonitorGone

_EXIT_SEEN_SECONDS = 10.0


def kill(services: Services, reference: str, *, signal: str = "SIGKILL") -> None:
    """Conflict with Docker's text when it does not run. After SIGKILL the exit is waited for."""
    number = parse_signal(signal) if signal else int(signals.SIGKILL)
    try:
        container = services.containers.get(reference)
        send(services, container, number)
    except NotFound as exc:
        raise NotFound(f"cannot kill container: {reference}: {exc.message}") from exc
    except Conflict as exc:
        raise Conflict(f"cannot kill container: {reference}: {exc.message}") from exc
    if number == signals.SIGKILL:
        with container.changed:
            container.changed.wait_for(lambda: not container.running, _EXIT_SEEN_SECONDS)


def send(services: Services, container: Container, number: int) -> None:
    """Signal without waiting."""
    connection = container.connection
    status = container.state.status
    if status is Status.RESTARTING and connection is not None and number in _final_signals(container):
        connection.cancel_restart()
        return
    if connection is None or status not in (Status.RUNNING, Status.PAUSED):
        raise Conflict(f"container {container.id} is not running")
    if number in _final_signals(container):
        container.state.manually_stopped = True
    # Before its death can be told.
    publish(services.events, container, "kill", {"signal": str(number)})
    try:
        connection.kill(number)
    except (Conflict, MonitorGone) as exc:
        raise Conflict(f"container {container.id} is not running") from exc


def _final_signals(container: Container) -> tuple[int, int]:
    text = container.record.config.stop_signal
    return int(signals.SIGKILL), parse_signal(text) if text else int(DEFAULT_STOP_SIGNAL)

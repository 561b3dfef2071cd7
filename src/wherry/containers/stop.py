"""Stop a container: its stop signal, a while later SIGKILL. The restart policy does not bring it back."""

from wherry.containers.container import Container
from wherry.containers.container_events import publish
from wherry.containers.services import Services
from wherry.containers.signals import DEFAULT_STOP_SIGNAL, parse_signal
from wherry.errors import NotModified
from wherry.monitor.client import MonitorGone

DEFAULT_TIMEOUT_SECONDS = 10
_EXIT_SEEN_SECONDS = 10.0


def stop(services: Services, reference: str, *, timeout_seconds: int | None = None, signal: str = "") -> None:
    """Returns when it is stopped. NotModified when it does not run, Unavailable when it cannot be killed (R35).

    ``timeout_seconds`` None: the container's StopTimeout, else 10; negative: wait for ever.
    """
    container = services.containers.get(reference)
    number = parse_signal(signal) if signal else None
    if not container.running:
        raise NotModified(f"container {container.id} is already stopped")
    stop_running(services, container, timeout_seconds=timeout_seconds, signal_number=number)
    publish(services.events, container, "stop")


def stop_running(
    services: Services, container: Container, *, timeout_seconds: int | None, signal_number: int | None
) -> None:
    """Stop and wait until the exit is in the state; a container that just ended is no error."""
    config = container.record.config
    if signal_number is None:
        signal_number = parse_signal(config.stop_signal) if config.stop_signal else int(DEFAULT_STOP_SIGNAL)
    if timeout_seconds is None:
        timeout_seconds = DEFAULT_TIMEOUT_SECONDS if config.stop_timeout is None else config.stop_timeout
    connection = container.connection
    container.state.manually_stopped = True
    if connection is not None:
        publish(services.events, container, "kill", {"signal": str(signal_number)})
        try:
            connection.stop(signal_number, float(timeout_seconds))
        except MonitorGone:
            pass  # it ended meanwhile: its exit is on the way to us
    with container.changed:
        container.changed.wait_for(lambda: not container.running, _EXIT_SEEN_SECONDS)

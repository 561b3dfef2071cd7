"""Stop, when it runs, and start again."""

from wherry.containers import lifecycle, start
from wherry.containers.container_events import publish
from wherry.containers.services import Services
from wherry.containers.signals import parse_signal
from wherry.containers.stop import stop_running
from wherry.errors import Conflict, InvalidParameter, NotFound, Unavailable, WherryError

_KINDS = (InvalidParameter, Conflict, NotFound, Unavailable, WherryError)
_RELEASE_SECONDS = 20.0


def restart(services: Services, reference: str, *, timeout_seconds: int | None = None, signal: str = "") -> None:
    """An auto-removed container survives this stop. Errors are those of ``stop`` and ``start``."""
    container = services.containers.get(reference)
    number = parse_signal(signal) if signal else None
    with container.verb:
        if container.running:
            container.kept_for_restart = True
            try:
                stop_running(services, container, timeout_seconds=timeout_seconds, signal_number=number)
                lifecycle.wait_until_released(container, _RELEASE_SECONDS)
            finally:
                container.kept_for_restart = False
        try:
            start.start_locked(services, container)
        except WherryError as exc:
            kind = next(kind for kind in _KINDS if isinstance(exc, kind))
            raise kind(f"Cannot restart container {reference}: {exc.message}", hint=exc.hint) from exc
    publish(services.events, container, "restart")

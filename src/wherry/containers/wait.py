"""Wait for a container to stop, to exit next, or to be removed. Two steps: the answer's head goes out in between."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from wherry.containers.container import Container, Status
from wherry.containers.services import Services
from wherry.errors import InvalidParameter

_POLL_SECONDS = 1.0


class Condition(StrEnum):
    """What is waited for."""

    NOT_RUNNING = "not-running"
    NEXT_EXIT = "next-exit"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class WaitResult:
    """The exit code, and what kept the container from running if something did."""

    status_code: int
    error: str | None


class Waiter:
    """Made before the answer's head is sent, so that an exit in between is not missed."""

    def __init__(self, container: Container, condition: Condition) -> None:
        self._container = container
        self._condition = condition
        with container.lock:
            self._exits = container.exits

    def result(self, cancelled: Callable[[], bool]) -> WaitResult | None:
        """Block until the condition holds; None when ``cancelled`` says so (asked every second)."""
        container = self._container
        with container.changed:
            while not container.changed.wait_for(self._holds, _POLL_SECONDS):
                if cancelled():
                    return None
            # moby: a removal clears the error, whatever it was, unless it is the removal's own.
            error = None if container.removed else container.removal_error or container.state.error
            ended = container.exits > self._exits and not container.removed
            return WaitResult(container.last_exit_code if ended else container.state.exit_code, error or None)

    def _holds(self) -> bool:
        container = self._container
        if container.removed:
            return True
        if self._condition is Condition.NEXT_EXIT:
            return container.exits > self._exits
        if self._condition is Condition.NOT_RUNNING:
            # An exit counts although the restart policy starts it again: the wait of moby ends there, too.
            return not container.running or container.exits > self._exits
        return bool(container.removal_error)


def begin(services: Services, reference: str, condition: str = "") -> Waiter:
    """Check the container and the condition; ``result`` of what this returns waits."""
    try:
        wanted = Condition(condition or Condition.NOT_RUNNING)
    except ValueError as exc:
        raise InvalidParameter(f'invalid condition: "{condition}"') from exc
    container = services.containers.get(reference)
    if wanted is Condition.REMOVED and container.state.status is Status.DEAD:
        wanted = Condition.NOT_RUNNING
    return Waiter(container, wanted)

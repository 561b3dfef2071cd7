"""Containers that are over while their monitors still free links, ports and cgroups (a veth takes 20 ms to go).

Nobody waits for them but who needs what they hold: a start that wants the same port, the end of the engine.
"""

import threading


class Endings:
    """Ids of such containers; thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._ids: set[str] = set()

    def begin(self, container_id: str) -> None:
        """The container is over."""
        with self._changed:
            self._ids.add(container_id)

    def finish(self, container_id: str) -> None:
        """Everything that it held is free. Idempotent."""
        with self._changed:
            self._ids.discard(container_id)
            self._changed.notify_all()

    def pending(self) -> frozenset[str]:
        """Those that are ending now. To be asked before trying what may collide with them."""
        with self._changed:
            return frozenset(self._ids)

    def wait(self, pending: frozenset[str], timeout_seconds: float) -> bool:
        """Wait until all of ``pending`` have finished; False when there were none, or the time is up."""
        with self._changed:
            return bool(pending) and self._changed.wait_for(lambda: not pending & self._ids, timeout_seconds)

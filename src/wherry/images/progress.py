"""Progress as Docker's clients read it: one jsonmessage object per event, rate-limited by layer."""

import threading
import time
from typing import Any, Final

from wherry.images.image import Progress

_INTERVAL_SECONDS: Final = 0.1


class ProgressSink:
    """Serialises messages of several threads. A listener that raises cancels the work and is not called again."""

    def __init__(self, listener: Progress, cancelled: threading.Event) -> None:
        self._listener = listener
        self._cancelled = cancelled
        self._lock = threading.Lock()
        self._last: dict[tuple[str, str], float] = {}
        self.failure: Exception | None = None

    def message(self, status: str, identity: str = "") -> None:
        """A line of its own, such as ``Digest: …``."""
        self._emit({"status": status, "id": identity} if identity else {"status": status})

    def step(self, identity: str, status: str) -> None:
        """A layer reached a step."""
        self._emit({"status": status, "progressDetail": {}, "id": identity})

    def amount(self, identity: str, status: str, current: int, total: int) -> None:
        """A layer's bytes so far; most calls are dropped."""
        now = time.monotonic()
        key = (identity, status)
        with self._lock:
            if now - self._last.get(key, 0.0) < _INTERVAL_SECONDS and current < total:
                return
            self._last[key] = now
        self._emit({"status": status, "progressDetail": {"current": current, "total": total}, "id": identity})

    def aux(self, value: dict[str, Any]) -> None:
        """A result for programs, which people do not see."""
        self._emit({"progressDetail": {}, "aux": value})

    def raise_failure(self) -> None:
        """Raise what the listener raised."""
        if self.failure is not None:
            raise self.failure

    def _emit(self, message: dict[str, Any]) -> None:
        with self._lock:
            if self.failure is not None:
                return
            try:
                self._listener(message)
            except Exception as exc:  # the client is gone: whoever runs the work raises this at its end
                self.failure = exc
                self._cancelled.set()

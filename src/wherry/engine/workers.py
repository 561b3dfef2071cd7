"""A few threads for what nobody waits for: saving exits, freeing addresses, deleting directories."""

import queue
import threading
from collections.abc import Callable

from wherry.log import get_logger

_logger = get_logger(__name__)

THREADS = 8


class Workers:
    """Threads are made when there is work for them. ``busy`` keeps the engine from going idle."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._pending = 0
        self._threads: list[threading.Thread] = []

    def run(self, call: Callable[[], None]) -> None:
        """Run it soon; an exception is logged."""
        with self._lock:
            self._pending += 1
            if self._pending > len(self._threads) and len(self._threads) < THREADS:
                thread = threading.Thread(target=self._work, name=f"worker-{len(self._threads)}", daemon=True)
                self._threads.append(thread)
                thread.start()
        self._queue.put(call)

    @property
    def busy(self) -> bool:
        """Whether anything runs or waits to."""
        with self._lock:
            return self._pending > 0

    def close(self) -> None:
        """Finish what is queued, then end the threads."""
        with self._lock:
            threads = list(self._threads)
        for _ in threads:
            self._queue.put(None)
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        while (call := self._queue.get()) is not None:
            try:
                call()
            except Exception:
                _logger.exception("background work")
            finally:
                with self._lock:
                    self._pending -= 1

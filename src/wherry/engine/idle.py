"""When the engine may end: nobody is connected and nothing is being done, for a while.

Containers do not keep it: their monitors need no engine, and wake one when there is something to do.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_CHECKS_A_TIMEOUT = 4
_LONGEST_CHECK_SECONDS = 10.0


class Idle:
    """Counts work that is no API request. Timers are monotonic (R37)."""

    def __init__(self, timeout_seconds: float) -> None:
        self.timeout_seconds = timeout_seconds
        self._lock = threading.Lock()
        self._users = 0
        self._since = time.monotonic()
        self._ended = threading.Event()

    def enter(self) -> None:
        """Something begins that must not be cut off."""
        with self._lock:
            self._users += 1

    def leave(self) -> None:
        """It is over."""
        with self._lock:
            self._users -= 1
            self._since = time.monotonic()

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Not idle during the block."""
        self.enter()
        try:
            yield
        finally:
            self.leave()

    def expired(self) -> bool:
        """Whether nothing has been going on for the whole time-out."""
        with self._lock:
            return not self._users and time.monotonic() - self._since >= self.timeout_seconds

    def watch(self, try_to_end: Callable[[], bool]) -> None:
        """Call ``try_to_end`` whenever the time is up, until it says that it ended the engine, or ``stop``."""
        if self.timeout_seconds <= 0:
            self._ended.wait()
            return
        step = min(self.timeout_seconds / _CHECKS_A_TIMEOUT, _LONGEST_CHECK_SECONDS)
        while not self._ended.wait(step):
            if self.expired() and try_to_end():
                return

    def stop(self) -> None:
        """End ``watch``."""
        self._ended.set()

"""Trying again: exponential back-off with jitter, for what may go better the next time."""

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from wherry.errors import WherryError
from wherry.registry.errors import TooManyRequests, retryable

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often and how long. Delays double from ``first_delay_seconds`` up to ``longest_delay_seconds``."""

    attempts: int = 5
    first_delay_seconds: float = 0.5
    longest_delay_seconds: float = 20.0

    def delay(self, failures: int, error: WherryError) -> float:
        """Seconds to wait after ``failures`` failures in a row (from 1)."""
        if isinstance(error, TooManyRequests) and error.retry_after_seconds is not None:
            return min(error.retry_after_seconds, self.longest_delay_seconds)
        ceiling = min(self.longest_delay_seconds, self.first_delay_seconds * 2 ** (failures - 1))
        return float(ceiling * random.uniform(0.5, 1.0))

    def call(self, work: Callable[[], T], cancelled: threading.Event) -> T:
        """Run ``work`` until it succeeds, fails for good, or has had its attempts."""
        failures = 0
        while True:
            try:
                return work()
            except WherryError as exc:
                failures += 1
                if failures >= self.attempts or not retryable(exc) or cancelled.wait(self.delay(failures, exc)):
                    raise

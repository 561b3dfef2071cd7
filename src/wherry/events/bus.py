"""What happened, told to whoever listens: Docker's events in their fields.

In-process only: a bounded queue per subscriber (a stopped reader loses its subscription, the engine loses
nothing; R30) and a short history for ``since``. Lower layers publish here, they never call upward.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any

QUEUE_LIMIT = 1024
HISTORY_LIMIT = 256


class SubscriptionOverflow(Exception):
    """The reader was too slow: its queue ran full and was closed."""


class Subscription:
    """One reader's queue. ``get`` from one thread, ``close`` from any."""

    def __init__(self, bus: "EventBus") -> None:
        self._bus = bus
        self._condition = threading.Condition()
        self._queue: deque[dict[str, Any]] = deque()
        self._closed = False
        self._overflowed = False

    def get(self, timeout_seconds: float | None = None) -> dict[str, Any] | None:
        """The next event; None after the time-out or when closed. SubscriptionOverflow when it ran full."""
        with self._condition:
            self._condition.wait_for(lambda: self._queue or self._closed, timeout_seconds)
            if self._queue:
                return self._queue.popleft()
            if self._overflowed:
                raise SubscriptionOverflow
            return None

    def close(self) -> None:
        """End the subscription and wake its reader. Idempotent."""
        self._bus.unsubscribe(self)
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def offer(self, event: dict[str, Any]) -> bool:
        """Queue an event; False when the queue was full, which ends the subscription."""
        with self._condition:
            if self._closed:
                return False
            if len(self._queue) >= QUEUE_LIMIT:
                self._closed = self._overflowed = True
                self._condition.notify_all()
                return False
            self._queue.append(event)
            self._condition.notify_all()
            return True

    def __enter__(self) -> "Subscription":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class EventBus:
    """Publisher and subscribers of one engine. Every method is thread-safe and none blocks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []
        self._history: deque[dict[str, Any]] = deque(maxlen=HISTORY_LIMIT)
        self._last_ns = 0

    def publish(self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str]) -> None:
        """Tell that ``action`` happened to the object ``actor_id`` of ``kind`` (container, image, volume, …)."""
        with self._lock:
            self._last_ns = max(time.time_ns(), self._last_ns + 1)
            event = _event(kind, action, actor_id, dict(attributes), self._last_ns)
            self._history.append(event)
            self._subscriptions = [s for s in self._subscriptions if s.offer(event)]

    def subscribe(self) -> Subscription:
        """Every event from now on."""
        subscription = Subscription(self)
        with self._lock:
            self._subscriptions.append(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Forget a subscription; its own ``close`` calls this."""
        with self._lock:
            if subscription in self._subscriptions:
                self._subscriptions.remove(subscription)

    @property
    def subscriber_count(self) -> int:
        """How many listen now."""
        with self._lock:
            return len(self._subscriptions)

    def history(self, since_ns: int, until_ns: int | None = None) -> list[dict[str, Any]]:
        """The remembered events (at most the last 256) between two Unix times in nanoseconds."""
        with self._lock:
            return [e for e in self._history if e["timeNano"] >= since_ns and e["timeNano"] <= (until_ns or 1 << 63)]


def _event(kind: str, action: str, actor_id: str, attributes: dict[str, str], at_ns: int) -> dict[str, Any]:
    event: dict[str, Any] = {}
    if kind in ("container", "image"):
        event["status"] = action
        event["id"] = actor_id
        if kind == "container" and attributes.get("image"):
            event["from"] = attributes["image"]
    event.update(
        Type=kind,
        Action=action,
        Actor={"ID": actor_id, "Attributes": attributes},
        scope="local",
        time=at_ns // 1_000_000_000,
        timeNano=at_ns,
    )
    return event

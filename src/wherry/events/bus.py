"""What happened, told to whoever listens: Docker's events in their fields.

A bounded queue per subscriber (a stopped reader loses its subscription, the engine loses nothing; R30) and the
journal for ``since``. Lower layers publish here, they never call upward.
"""

import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from wherry.events.journal import Journal

QUEUE_LIMIT = 1024
# For how long a monitor's word may have been under way to an engine that was then killed.
_LATE_NS = 10_000_000_000


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
    """Publisher and subscribers of one engine. Every method is thread-safe and none blocks. Without a ``journal``
    nothing is remembered."""

    def __init__(self, journal: Journal | None = None) -> None:
        self._journal = journal
        self._lock = threading.Lock()
        self._subscriptions: list[Subscription] = []
        self._told: dict[str, int] = {}
        self._last_ns = self._taken_ns = 0
        for line in journal.tail(_LATE_NS) if journal is not None else ():
            self._last_ns = line.event["timeNano"]
            if line.told_ns:
                self._told[line.event["Actor"]["ID"]] = line.told_ns
        self._taken_ns = self._last_ns - _LATE_NS

    def publish(
        self, kind: str, action: str, actor_id: str, attributes: Mapping[str, str], *, told_ns: int = 0
    ) -> None:
        """Tell that ``action`` happened to the object ``actor_id`` of ``kind`` (container, image, volume, …):
        now, or at ``told_ns`` by a monitor's clock, but never before what was told already."""
        with self._lock:
            self._last_ns = max(told_ns or time.time_ns(), self._last_ns + 1)
            if told_ns:
                self._told[actor_id] = told_ns
            if action == "destroy":
                self._told.pop(actor_id, None)
            event = _event(kind, action, actor_id, dict(attributes), self._last_ns)
            if self._journal is not None:
                self._journal.append(event, told_ns)
            self._subscriptions = [s for s in self._subscriptions if s.offer(event)]

    def was_told(self, actor_id: str, told_ns: int) -> bool:
        """Whether what a monitor says of ``told_ns`` was published, by this engine or by an earlier one."""
        with self._lock:
            return told_ns <= self._told.get(actor_id, self._taken_ns)

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

    def history(self, since_ns: int, until_ns: int | None = None) -> Iterator[dict[str, Any]]:
        """The events between two Unix times in nanoseconds, oldest first, as far back as the journal's bounds."""
        return iter(()) if self._journal is None else self._journal.read(since_ns, until_ns)

    def close(self) -> None:
        """Close the journal; what is published later is told and not remembered."""
        with self._lock:
            journal, self._journal = self._journal, None
            if journal is not None:
                journal.close()


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

"""What a monitor has told, with its times: an engine that was not there reads it, and misses no event.

In the answer to ``state`` while the container lives, in exit.json afterwards.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeAlias

Event: TypeAlias = "dict[str, Any]"

# Those that make an event of Docker's which only the monitor can know of.
_KEPT = ("started", "exited", "oom", "health", "exec_exited")
_LIMIT = 64


class Told:
    """``send`` sends a noted event to every engine."""

    __slots__ = ("_entries", "_first_start_ns", "_last_ns", "send")

    def __init__(self, send: Callable[[Event], None]) -> None:
        self.send = send
        self._last_ns = self._first_start_ns = 0
        self._entries: list[Event] | None = None

    def note(self, event: Event) -> Event:
        """Give it its time and remember it."""
        self._last_ns = event["at_ns"] = max(time.time_ns(), self._last_ns + 1)
        if not self._first_start_ns and event["event"] == "started":
            # Most monitors tell no more than this: what were kept of it would cost each of them pages (P16).
            self._first_start_ns = self._last_ns
        elif event["event"] in _KEPT and event.get("changed", True):
            self._entries = [*(self._entries or ()), _without_output(event)][-_LIMIT:]
        return event

    def tell(self, event: Event) -> Event:
        """Note it and send it."""
        self.send(self.note(event))
        return event

    @property
    def entries(self) -> list[Event]:
        """The latest of what no state shows, oldest first, each with ``at_ns`` (Unix time, growing)."""
        later = self._entries or []
        if len(later) == _LIMIT or not self._first_start_ns:
            return later
        return [{"event": "started", "at_ns": self._first_start_ns}, *later]


def _without_output(event: Event) -> Event:
    return {key: value for key, value in event.items() if key != "result"}

"""Locks by key, and the order in which the engine's locks are taken.

Order, outermost first. A thread that holds one may take only those below it:

1. ``Container.verb``            one verb at a time on one container (start, stop, remove, …); may last seconds
2. ``KeyedLocks`` of a domain    one key at a time (a volume name, an image reference, a chain id)
3. ``Container.lock``            the fields of one container; never held across I/O other than the database
4. ``Registry`` lock             the maps of ids and names
5. ``Database`` write lock       one transaction

Two locks of the same rank are never held together.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _Entry:
    lock: threading.Lock = field(default_factory=threading.Lock)
    users: int = 0


class KeyedLocks:
    """A lock per key, made on demand and forgotten when nobody holds or awaits it. Not re-entrant."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._entries: dict[str, _Entry] = {}

    @contextmanager
    def hold(self, key: str) -> Iterator[None]:
        """Hold the key's lock for the block; other keys are unaffected."""
        with self._guard:
            entry = self._entries.setdefault(key, _Entry())
            entry.users += 1
        try:
            with entry.lock:
                yield
        finally:
            with self._guard:
                entry.users -= 1
                if not entry.users:
                    del self._entries[key]

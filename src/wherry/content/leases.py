"""Leases: what running work needs although no name points to it yet (R19).

In memory only. The engine is the single writer of the data root, so no lease can outlive the process, and
what a dead engine left behind is rubbish by definition.

A collection must not delete what was leased at any time since it began: the work may have finished, and
given its lease back, between the collector's reading of the names and its deleting.
"""

import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Leases:
    """Counts by key. A key is a digest, or ``snapshot:`` and a chain id."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._collections: list[set[str]] = []

    @contextmanager
    def lease(self) -> Iterator["Lease"]:
        """A lease that lasts for the block."""
        lease = Lease(self)
        try:
            yield lease
        finally:
            lease.release()

    @contextmanager
    def collection(self) -> Iterator["Collection"]:
        """Begin collecting: enter before the names are read, delete inside the block."""
        with self._lock:
            protected = set(self._counts)
            self._collections.append(protected)
        try:
            yield Collection(self._lock, protected)
        finally:
            with self._lock:
                self._collections = [item for item in self._collections if item is not protected]

    def acquire(self, key: str) -> None:
        """Count one more user of ``key``."""
        with self._lock:
            self._counts[key] += 1
            for protected in self._collections:
                protected.add(key)

    def give_back(self, keys: Iterable[str]) -> None:
        """Count one user less of each key."""
        with self._lock:
            for key in keys:
                self._counts[key] -= 1
                if self._counts[key] <= 0:
                    del self._counts[key]


class Lease:
    """The keys that one piece of work holds."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._keys: set[str] = set()

    def add(self, key: str) -> None:
        """Protect ``key`` from now on; call it before testing whether the thing exists."""
        if key not in self._keys:
            self._leases.acquire(key)
            self._keys.add(key)

    def release(self) -> None:
        """Give everything back. Idempotent."""
        keys, self._keys = self._keys, set()
        self._leases.give_back(keys)


class Collection:
    """One run of a collector."""

    def __init__(self, lock: threading.Lock, protected: set[str]) -> None:
        self._lock = lock
        self._protected = protected

    @contextmanager
    def deleting(self, key: str) -> Iterator[bool]:
        """Yield whether ``key`` may be deleted; until the block ends nobody can lease anything."""
        with self._lock:
            yield key not in self._protected

"""Garbage collection: delete every blob that no name reaches and no lease protects (R19, R20)."""

from collections.abc import Callable, Collection
from dataclasses import dataclass

from wherry.content.store import ContentStore
from wherry.oci.digest import Digest


@dataclass(frozen=True, slots=True)
class Collected:
    """What one collection deleted."""

    digests: tuple[Digest, ...]
    freed_bytes: int


def collect(
    store: ContentStore,
    roots: Callable[[], Collection[str]],
    *,
    among: Collection[Digest] | None = None,
    older_than_seconds: float = 0.0,
) -> Collected:
    """Mark from ``roots`` (called once, after the collection began) and sweep. Safe beside running pulls.

    ``among`` limits the sweep to these blobs; ``older_than_seconds`` spares what an interrupted pull may yet
    come back for.
    """
    deleted: list[Digest] = []
    freed = 0
    with store.leases.collection() as collection:
        candidates = [
            (digest, size)
            for digest, size in store.walk(older_than_seconds=older_than_seconds)
            if among is None or digest in among
        ]
        marked = frozenset(roots())
        for digest, size in candidates:
            if digest in marked:
                continue
            with collection.deleting(digest) as allowed:
                if allowed and store.delete(digest):
                    deleted.append(digest)
                    freed += size
    return Collected(tuple(deleted), freed)

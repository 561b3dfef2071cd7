"""The contract of a snapshotter: file systems as layers on top of each other.

Words:

- **committed** snapshot: one layer, read-only for ever, on top of its parents. Its key is its **chain_id**.
- **active** snapshot: a writable layer on top of a committed one (or of nothing). Its key is chosen by its owner:
  a container's id, a build step's id.
- **key**: names a snapshot of either kind. Chain ids contain ``:`` and other keys must not, so they never meet.
- **parent**: the chain_id of the committed snapshot directly below, or None for an empty root (``FROM scratch``).

Every method may be called from any thread. A key that is not there raises SnapshotNotFound, except in ``has`` and
``remove``. Sizes are bytes; names of files are bytes, for they need not be text.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol, TypedDict

from wherry.errors import Conflict, InvalidParameter, NotFound, System
from wherry.snapshots.chain_id import ChainId

# What one layer may cost when its image is not trusted (S18, S19). Callers may lower the bounds.
MAX_LAYER_BYTES = 64 << 30
MAX_LAYER_ENTRIES = 2_000_000


class Source(Protocol):
    """Where a layer's bytes come from; every binary file is one."""

    def read(self, size: int, /) -> bytes:
        """At most ``size`` bytes, or as many as come; b"" only at the end."""


class Sink(Protocol):
    """Where a tar goes; every binary file is one."""

    def write(self, data: bytes, /) -> object:
        """Take all of ``data``."""


class SnapshotNotFound(NotFound):
    """No snapshot has this key."""


class SnapshotInUse(Conflict):
    """Another snapshot stands on this one, or the key is taken by a snapshot with another parent."""


class LayerRejected(InvalidParameter):
    """The layer's bytes are malformed, hostile, over a limit, or not what their diff_id says. Nothing was stored."""


class SnapshotFailed(System):
    """The kernel refused a step: no space, no permission, an input/output error."""


class Overlay(TypedDict):
    """What the runtime mounts, in the container's private mount namespace: an overlay file system.

    ``lower`` is top first and never empty. Without ``upper`` (an empty string) the mount is read-only.
    """

    lower: list[str]
    upper: str
    work: str
    volatile: bool
    readonly: bool


@dataclass(frozen=True, slots=True)
class Usage:
    """What one layer's own files take; a file with several names counts once.

    ``size_bytes`` is the sum of the sizes of files (Docker's SizeRw), ``disk_bytes`` the blocks allocated for
    everything.
    """

    size_bytes: int
    disk_bytes: int
    inodes: int


class ChangeKind(IntEnum):
    """``Kind`` of the Engine API's container changes."""

    MODIFIED = 0
    ADDED = 1
    DELETED = 2


@dataclass(frozen=True, slots=True)
class Change:
    """One line of ``docker diff``: an absolute path of the container and what happened to it."""

    path: bytes
    kind: ChangeKind


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What ``all`` says. A committed one has a diff_id and in ``size_bytes`` the sum of its files' sizes."""

    key: str
    parent: ChainId | None
    diff_id: str | None
    size_bytes: int

    @property
    def committed(self) -> bool:
        return self.diff_id is not None


class Snapshotter(Protocol):
    """Layers ↔ file systems. ``name`` is what ``info`` shows as the storage driver."""

    @property
    def name(self) -> str: ...

    def has(self, chain_id: ChainId) -> bool:
        """Whether the layer is committed, whole and durable."""

    def unpack(
        self,
        parent: ChainId | None,
        diff_id: str,
        tar: Source,
        *,
        max_bytes: int = MAX_LAYER_BYTES,
        max_entries: int = MAX_LAYER_ENTRIES,
    ) -> ChainId:
        """Commit the layer that the *uncompressed* tar stream holds; durable on return.

        ``tar`` is read to its end and stays open: its opener closes it. Atomic: an error leaves nothing. Idempotent:
        a layer that is there already is returned at once (without reading the stream), and of two threads that
        unpack the same layer both succeed. Raises LayerRejected (contents, limits, diff_id), SnapshotNotFound
        (parent), SnapshotFailed; what ``tar.read`` raises passes through.
        """

    def prepare(self, key: str, parent: ChainId | None) -> None:
        """Make an active snapshot. Atomic. Idempotent for the same parent; SnapshotInUse for another one.

        It reaches the disk with the next commit of the same file system's journal, such as the database's.
        """

    def overlay(self, key: str, *, volatile: bool = False, readonly: bool = False) -> Overlay:
        """How to mount an active snapshot as a container's root; the init layer is the topmost lower.

        ``volatile``: never synced, for containers that do not outlive a crash (``--rm``, build steps); after a
        reboot such a snapshot is refused with SnapshotFailed. Not to be mounted twice at a time.
        """

    def view_layers(self, chain_id: ChainId) -> list[str]:
        """The committed layer's directories, top first, without an init layer: for read-only mounts."""

    def mounted(self, key: str, *, readonly: bool = False) -> AbstractContextManager[int]:
        """A directory descriptor of the merged file system, on a detached mount that only the descriptor holds.

        Nothing appears in the host's mount table. A committed snapshot is always read-only. Leaving it closes
        the descriptor. Not for an active snapshot that a running container has mounted: use the container's root.
        """

    def usage(self, key: str) -> Usage:
        """What the one layer uses, without its parents. Walks the layer; ``all`` remembers committed sizes."""

    def changes(self, key: str) -> Iterator[Change]:
        """What an active snapshot changed, sorted by path, parents first. Lazy; a running container may race it."""

    def write_diff(self, key: str, out: Sink) -> None:
        """Write an active snapshot as an OCI layer: uncompressed, whiteouts, deterministic. ``out`` stays open."""

    def write_tree(self, key: str, out: Sink) -> None:
        """Write the merged file system as a tar without whiteouts (``docker export``). ``out`` stays open."""

    def remove(self, key: str) -> None:
        """Remove a snapshot; idempotent. Gone from ``all`` on return, space is freed in the background.

        SnapshotInUse when another snapshot has it as parent.
        """

    def all(self) -> list[Snapshot]:
        """Every snapshot of both kinds."""

    def close(self) -> None:
        """Stop the background removal; what is left is removed at the next start."""

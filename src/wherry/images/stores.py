"""What every verb on images works with, put together once by the image service."""

import threading
from dataclasses import dataclass, field

from wherry.content import gc
from wherry.content.store import ContentStore
from wherry.images.download import Downloads
from wherry.images.image import ContainersUsing, Image, ImageId, ImageNotFound, Publish
from wherry.images.store import ImageRecord, ImageStore
from wherry.oci import reference
from wherry.oci.digest import Digest
from wherry.oci.image_config import ImageConfig, decode_image_config
from wherry.registry.client import RegistryClient
from wherry.settings import Settings
from wherry.snapshots.snapshotter import Snapshot, SnapshotInUse, Snapshotter

_REMEMBERED_CONFIGS = 512


def snapshot_key(chain_id: str) -> str:
    """The lease key of a committed snapshot."""
    return f"snapshot:{chain_id}"


@dataclass(frozen=True, slots=True)
class Freed:
    """What a collection gave back: bytes of blobs, bytes of layers, and the layers by chain id, top first."""

    blob_bytes: int
    layer_bytes: int
    chain_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stores:
    """The collaborators of the image verbs. ``containers_using`` comes from the layer above."""

    settings: Settings
    images: ImageStore
    content: ContentStore
    snapshotter: Snapshotter
    registry: RegistryClient
    downloads: Downloads
    uploads: threading.BoundedSemaphore
    """One count for every layer on its way out, of all pushes."""
    publish: Publish
    containers_using: ContainersUsing
    _configs: dict[str, tuple[bytes, ImageConfig]] = field(default_factory=dict)
    _configs_lock: threading.Lock = field(default_factory=threading.Lock)

    def image(self, image_id: str) -> Image:
        """Load an image; raises ImageNotFound."""
        record = self.images.get(image_id)
        if record is None:
            raise ImageNotFound(image_id)
        return self.from_record(record)

    def from_record(self, record: ImageRecord) -> Image:
        """Put the record and its config together."""
        blob, config = self._config(record.id)
        return Image(
            id=record.id,
            config=config,
            config_blob=blob,
            manifest_digest=record.manifest_digest,
            manifest_media_type=record.manifest_media_type,
            chain_ids=tuple(layer.chain_id for layer in record.layers),
            repo_tags=tuple(reference.from_repository(name, tag=tag).familiar for name, tag in record.tags),
            repo_digests=tuple(reference.from_repository(n, digest=digest).familiar for n, digest in record.digests),
            size_bytes=record.size_bytes,
            added_at=record.added_at,
            tagged_at=record.tagged_at,
            parent_id=record.parent_id,
        )

    def layer_sizes(self) -> dict[str, int]:
        """The size of every committed layer by chain id."""
        return {item.key: item.size_bytes for item in self.snapshotter.all() if item.committed}

    def collect(self, *, among: set[Digest] | None = None, older_than_seconds: float = 0.0) -> "Freed":
        """Delete the blobs and layers that no image needs and no work holds."""
        blobs = gc.collect(self.content, self.images.blobs, among=among, older_than_seconds=older_than_seconds)
        return Freed(blobs.freed_bytes, *self._collect_snapshots())

    def _collect_snapshots(self) -> tuple[int, tuple[str, ...]]:
        freed, removed = 0, []
        with self.content.leases.collection() as collection:
            committed = [item for item in self.snapshotter.all() if item.committed]
            used = self.images.chain_ids()
            for item in reversed(_parents_first(committed)):
                if item.key in used:
                    continue
                with collection.deleting(snapshot_key(item.key)) as allowed:
                    if not allowed:
                        continue
                    try:
                        self.snapshotter.remove(item.key)
                    except SnapshotInUse:
                        continue  # a container stands on it; the sweep after the container's removal takes it
                    freed += item.size_bytes
                    removed.append(item.key)
        return freed, tuple(removed)

    def _config(self, image_id: ImageId) -> tuple[bytes, ImageConfig]:
        with self._configs_lock:
            found = self._configs.get(image_id)
        if found is None:
            blob = self.content.read(Digest(image_id))
            found = blob, decode_image_config(blob)
            with self._configs_lock:
                if len(self._configs) >= _REMEMBERED_CONFIGS:
                    self._configs.clear()
                self._configs[image_id] = found
        return found


def _parents_first(snapshots: list[Snapshot]) -> list[Snapshot]:
    """Sort so that every snapshot comes after its parent."""
    by_key = {item.key: item for item in snapshots}
    depths: dict[str, int] = {}
    for item in snapshots:
        path = []
        current: Snapshot | None = item
        while current is not None and current.key not in depths:
            path.append(current.key)
            current = by_key.get(current.parent) if current.parent else None
        depth = depths[current.key] if current is not None else -1
        for key in reversed(path):
            depth += 1
            depths[key] = depth
    return sorted(snapshots, key=lambda item: depths[item.key])

"""``docker import``: a tar of a root file system becomes an image of one layer."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Final

from wherry.content.compression import ByteSource, Compression, DecompressedReader
from wherry.content.errors import StorageFault
from wherry.content.leases import Lease
from wherry.errors import InvalidParameter
from wherry.images.changes import apply_changes
from wherry.images.create import NewLayer, create_image, now_rfc3339
from wherry.images.image import Image, Progress
from wherry.images.stores import Stores
from wherry.oci import media_types
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import DiffId, Digest
from wherry.oci.image_config import ContainerConfig, History
from wherry.oci.platform import Platform
from wherry.oci.reference import Reference
from wherry.snapshots.snapshotter import LayerRejected, SnapshotFailed

_CHUNK: Final = 1 << 20
_KEPT_AS_IS: Final = {
    Compression.GZIP: media_types.OCI_LAYER_GZIP,
    Compression.ZSTD: media_types.OCI_LAYER_ZSTD,
    Compression.NONE: media_types.OCI_LAYER,
}


def import_image(
    stores: Stores,
    stream: ByteSource,
    *,
    reference: Reference | None,
    changes: Sequence[str],
    message: str,
    platform: Platform | None,
    progress: Progress,
) -> Image:
    """Import a tar, compressed or not. ``reference`` has a tag, or is None. Prints the image's id as Docker does."""
    config = apply_changes(ContainerConfig(), changes)
    layer: NewLayer | None = None
    try:
        with stores.content.leases.lease() as lease:
            layer = _store(stores, stream, lease)
            created = now_rfc3339()
            image = create_image(
                stores,
                lease,
                base=None,
                layers=[layer],
                history=[History(created=created, comment=message or "Imported from -")],
                config=config,
                comment=message or "Imported from -",
                platform=platform,
                created=created,
                tags=[(reference.repository, reference.tag)] if reference is not None and reference.tag else [],
            )
    except (InvalidParameter, StorageFault, SnapshotFailed):
        if layer is not None:
            stores.collect(among={layer.blob.digest})
        raise
    progress({"status": image.id})
    stores.publish("image", "import", image.id, {"name": reference.familiar if reference is not None else image.id})
    return image


def _store(stores: Stores, stream: ByteSource, lease: Lease) -> NewLayer:
    """Keep the stream as it came where an image may hold such a layer, else its plain form; hash the plain form."""
    limit = stores.settings.max_layer_size_bytes
    plain_hash = hashlib.sha256()
    plain_bytes = 0
    with stores.content.ingest(None, None) as ingest:
        tee = _Tee(stream)
        reader = DecompressedReader(tee)
        as_is = reader.compression in _KEPT_AS_IS
        if as_is:
            tee.attach(ingest.write)
        while data := reader.read(_CHUNK):
            plain_bytes += len(data)
            if plain_bytes > limit:
                raise LayerRejected(f"the layer is larger than {limit} bytes")
            plain_hash.update(data)
            if not as_is:
                ingest.write(data)
        while as_is and tee.read(_CHUNK):
            pass  # padding after the compressed stream belongs to the blob
        digest = ingest.verify()
        lease.add(digest)
        size = ingest.written_bytes
        ingest.commit()
    media_type = _KEPT_AS_IS.get(reader.compression, media_types.OCI_LAYER)
    diff_id = DiffId(Digest("sha256:" + plain_hash.hexdigest()))
    return NewLayer(diff_id, Descriptor(media_type=media_type, digest=digest, size=size))


class _Tee:
    """Copies what is read; what was read before ``attach`` is copied then."""

    def __init__(self, stream: ByteSource) -> None:
        self._stream = stream
        self._early = b""
        self._write: Callable[[bytes], None] = self._remember

    def _remember(self, data: bytes) -> None:
        self._early += data

    def attach(self, write: Callable[[bytes], None]) -> None:
        write(self._early)
        self._write = write

    def read(self, size: int = -1, /) -> bytes:
        data = self._stream.read(size)
        self._write(data)
        return data

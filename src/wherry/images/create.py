"""Making images here: a layer written into the content store, a config, a manifest, a record.

Used by import, by commit and by the builder.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, BinaryIO, cast

import msgspec

from wherry.content.ingest import Ingest
from wherry.content.leases import Lease
from wherry.images.image import Image, ImageId
from wherry.images.layers import Budget, unpack_layer
from wherry.images.store import LayerRecord
from wherry.images.stores import Stores, snapshot_key
from wherry.oci import codec, media_types
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import DiffId
from wherry.oci.image_config import ContainerConfig, History, ImageConfig, RootFS
from wherry.oci.manifest import Manifest
from wherry.oci.platform import Platform, host_platform
from wherry.snapshots.chain_id import chain_ids


@dataclass(frozen=True, slots=True)
class NewLayer:
    """A layer's blob in the content store, held by a lease."""

    diff_id: DiffId
    blob: Descriptor


def now_rfc3339() -> str:
    """The present in UTC, as image configs write it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def write_layer(stores: Stores, write: Callable[[BinaryIO], None], lease: Lease) -> NewLayer:
    """Store what ``write`` writes: an uncompressed layer tar. Compression is for pushing."""
    with stores.content.ingest(None, None) as ingest:
        write(cast(BinaryIO, _Sink(ingest)))
        digest = ingest.verify()
        lease.add(digest)
        size = ingest.written_bytes
        ingest.commit()
    return NewLayer(DiffId(digest), Descriptor(media_type=media_types.OCI_LAYER, digest=digest, size=size))


def create_image(
    stores: Stores,
    lease: Lease,
    *,
    base: Image | None,
    layers: Sequence[NewLayer],
    history: Sequence[History],
    config: ContainerConfig,
    author: str = "",
    comment: str = "",
    platform: Platform | None = None,
    created: str | None = None,
    tags: Sequence[tuple[str, str]] = (),
    container: str = "",
    container_config: dict[str, Any] | None = None,
) -> Image:
    """Put new layers on top of ``base`` and record the image. Unpacks what is not unpacked yet.

    ``container`` is the id of the one that was committed, ``container_config`` Docker's object of it.
    """
    below = stores.images.get(base.id) if base is not None else None
    records = list(below.layers) if below is not None else []
    made = msgspec.structs.replace(
        _image_config(base, layers, history, config, author, comment, platform, created or now_rfc3339()),
        container=container,
        container_config=container_config,
    )
    chains = chain_ids(made.diff_ids)
    budget = Budget(stores.settings.max_layer_size_bytes, stores.settings.max_image_size_bytes)
    for record in records:
        lease.add(snapshot_key(record.chain_id))
        lease.add(record.blob_digest)
    for i, layer in enumerate(layers, len(records)):
        lease.add(snapshot_key(chains[i]))
        with stores.content.open(layer.blob.digest) as blob:
            unpack_layer(stores, chains[i - 1] if i else None, layer.diff_id, blob, budget)
        records.append(
            LayerRecord(layer.diff_id, chains[i], layer.blob.digest, layer.blob.media_type, layer.blob.size)
        )
    config_blob = codec.encode(made)
    config_digest = stores.content.write(config_blob)
    lease.add(config_digest)
    described = Descriptor(media_type=media_types.OCI_CONFIG, digest=config_digest, size=len(config_blob))
    manifest = describe(described, records)
    manifest_digest = stores.content.write(codec.encode(manifest))
    lease.add(manifest_digest)
    sizes = stores.layer_sizes()
    image_id = ImageId(config_digest)
    stores.images.add(
        image_id,
        manifest_digest,
        media_types.OCI_MANIFEST,
        sum(sizes.get(record.chain_id, 0) for record in records),
        records,
        parent_id=base.id if base is not None else "",
        tags=tags,
    )
    return stores.image(image_id)


def describe(config: Descriptor, layers: Sequence[LayerRecord]) -> Manifest:
    """The OCI manifest of an image whose layers are stored as these blobs."""
    return Manifest(
        schema_version=2,
        media_type=media_types.OCI_MANIFEST,
        config=config,
        layers=tuple(
            Descriptor(media_type=layer.blob_media_type, digest=layer.blob_digest, size=layer.blob_size)
            for layer in layers
        ),
    )


def _image_config(
    base: Image | None,
    layers: Sequence[NewLayer],
    history: Sequence[History],
    config: ContainerConfig,
    author: str,
    comment: str,
    platform: Platform | None,
    created: str,
) -> ImageConfig:
    diff_ids = (base.config.diff_ids if base else ()) + tuple(layer.diff_id for layer in layers)
    steps = ((base.config.history or ()) if base else ()) + tuple(history)
    if base is not None:
        return msgspec.structs.replace(
            base.config,
            created=created,
            author=author or base.config.author,
            comment=comment,
            config=config,
            rootfs=RootFS("layers", diff_ids),
            history=steps,
        )
    target = platform or host_platform()
    return ImageConfig(
        architecture=target.architecture,
        variant=target.variant,
        os=target.os,
        created=created,
        author=author,
        comment=comment,
        config=config,
        rootfs=RootFS("layers", diff_ids),
        history=steps,
    )


class _Sink:
    """An ingest as a file to write to."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def write(self, data: bytes) -> int:
        self._ingest.write(data)
        return len(data)

    def flush(self) -> None:
        """Nothing is buffered."""

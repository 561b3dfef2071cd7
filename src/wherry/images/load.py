"""``docker load``: docker-archives (``manifest.json``) and OCI layouts (``index.json``), however compressed.

Touches only the tags that the archive's own entries name, each after its image is whole (S14).
"""

import threading
from dataclasses import dataclass
from typing import BinaryIO, Final

import msgspec

from wherry.content.compression import ByteSource, Compression, detect
from wherry.content.errors import StorageFault
from wherry.content.leases import Lease
from wherry.errors import InvalidParameter
from wherry.images.archive import Archive, InvalidArchive, read_archive
from wherry.images.image import Image, ImageId, Progress
from wherry.images.layers import Budget, unpack_layer
from wherry.images.progress import ProgressSink
from wherry.images.store import LayerRecord
from wherry.images.stores import Stores, snapshot_key
from wherry.oci import codec, media_types
from wherry.oci import reference as references
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import Digest
from wherry.oci.image_config import check_layer_count, decode_image_config
from wherry.oci.index import MAX_NESTING, decode_index
from wherry.oci.manifest import Manifest, decode_manifest, media_type_of
from wherry.oci.platform import Platform, best_match, host_platform
from wherry.oci.reference import InvalidReference, Reference
from wherry.snapshots.chain_id import chain_ids
from wherry.snapshots.snapshotter import SnapshotFailed

_NAME_ANNOTATIONS: Final = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_MAX_IMAGES: Final = 1024


class _Entry(msgspec.Struct, frozen=True, rename="pascal"):
    """One image of ``manifest.json``."""

    config: str
    repo_tags: tuple[str, ...] | None = None
    layers: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """An image of an archive, as blobs of the content store."""

    config: Digest
    layers: tuple[Descriptor, ...]
    names: tuple[Reference, ...]
    manifest: tuple[Digest, str] | None
    """Digest and media type of the manifest that the archive had; None: one has to be made."""


def load(
    stores: Stores, stream: ByteSource, *, progress: Progress, platform: Platform | None = None, quiet: bool = False
) -> list[Image]:
    """Load every image of an archive; raises InvalidArchive and the errors of unpacking. ``quiet``: names alone."""
    limit = stores.settings.max_image_size_bytes
    archive = Archive(stores.content)
    try:
        with stores.content.leases.lease() as lease:
            read_archive(archive, stream, lease, max_bytes=limit)
            found = _docker_archive(archive) if archive.has("manifest.json") else _oci_layout(archive, platform)
            images = [_add(stores, item, lease, progress, quiet=quiet) for item in found]
    except (InvalidParameter, StorageFault, SnapshotFailed):
        stores.collect(among=set(archive.members.values()))
        raise
    stores.collect(among=set(archive.members.values()))  # the archive's own index, manifest.json and the like
    return images


class _Shown:
    """Tells how much of a layer's blob has been unpacked."""

    def __init__(self, blob: BinaryIO, sink: ProgressSink, identity: str, size_bytes: int) -> None:
        self._blob = blob
        self._sink = sink
        self._identity = identity
        self._size_bytes = size_bytes
        self._count = 0

    def read(self, size: int, /) -> bytes:
        data = self._blob.read(size)
        self._count += len(data)
        if data:
            self._sink.amount(self._identity, "Loading layer", self._count, self._size_bytes)
        self._sink.raise_failure()
        return data


def _add(stores: Stores, found: _Found, lease: Lease, progress: Progress, *, quiet: bool) -> Image:
    sink = ProgressSink((lambda message: None) if quiet else progress, threading.Event())
    config = decode_image_config(stores.content.read(found.config))
    check_layer_count(config, len(found.layers))
    chains = chain_ids(config.diff_ids)
    budget = Budget(stores.settings.max_layer_size_bytes, stores.settings.max_image_size_bytes)
    records = []
    for i, layer in enumerate(found.layers):
        diff_id = config.diff_ids[i]
        lease.add(snapshot_key(chains[i]))
        if not stores.snapshotter.has(chains[i]):
            with stores.content.open(layer.digest) as blob:
                shown = _Shown(blob, sink, diff_id.partition(":")[2][:12], layer.size)
                unpack_layer(stores, chains[i - 1] if i else None, diff_id, shown, budget)
        records.append(LayerRecord(diff_id, chains[i], layer.digest, layer.media_type, layer.size))
    digest, media_type = found.manifest or _make_manifest(stores, found, lease)
    image_id = ImageId(found.config)
    for name in found.names:
        before = stores.images.by_tag(name.repository, name.tag or references.DEFAULT_TAG)
        if before is not None and before != image_id:
            progress(
                {
                    "stream": f"The image {name.familiar} already exists, renaming the old one with ID {before} "
                    "to empty string\n"
                }
            )
    sizes = stores.layer_sizes()
    stores.images.add(
        image_id,
        digest,
        media_type,
        sum(sizes.get(chain, 0) for chain in chains),
        records,
        tags=[(name.repository, name.tag or references.DEFAULT_TAG) for name in found.names],
    )
    stores.publish("image", "load", image_id, {"name": image_id})
    for name in found.names:
        progress({"stream": f"Loaded image: {name.familiar}\n"})
    if not found.names:
        progress({"stream": f"Loaded image ID: {image_id}\n"})
    return stores.image(image_id)


def _make_manifest(stores: Stores, found: _Found, lease: Lease) -> tuple[Digest, str]:
    config = Descriptor(
        media_type=media_types.OCI_CONFIG, digest=found.config, size=stores.content.size(found.config)
    )
    manifest = Manifest(schema_version=2, media_type=media_types.OCI_MANIFEST, config=config, layers=found.layers)
    data = codec.encode(manifest)
    digest = stores.content.write(data)
    lease.add(digest)
    return digest, media_types.OCI_MANIFEST


# -- docker-archive


def _docker_archive(archive: Archive) -> list[_Found]:
    entries = codec.decode(archive.document("manifest.json"), tuple[_Entry, ...], what="manifest.json")
    if not 0 < len(entries) <= _MAX_IMAGES:
        raise InvalidArchive(f"invalid archive: manifest.json lists {len(entries)} images")
    described = {item.config: item for item in _described(archive)}
    result = []
    for entry in entries:
        config = archive.digest(entry.config)
        _check_name(entry.config, config)
        layers = tuple(_layer(archive, archive.digest(name)) for name in entry.layers or ())
        names = tuple(_tagged(name) for name in entry.repo_tags or ())
        known = described.get(config)
        if known is not None and [x.digest for x in known.layers] == [x.digest for x in layers]:
            result.append(_Found(config, known.layers, names, known.manifest))
        else:
            result.append(_Found(config, layers, names, None))
    return result


def _described(archive: Archive) -> list[_Found]:
    """The images for which a docker-archive also has an OCI manifest, which is then kept as it is."""
    if not archive.has("index.json"):
        return []
    result = []
    for entry in decode_index(archive.document("index.json")).manifests:
        if entry.media_type not in media_types.MANIFESTS:
            continue
        data = archive.content.read(archive.blob(entry.digest))
        manifest = decode_manifest(data)
        media_type = media_type_of(data, entry.media_type)
        result.append(_Found(manifest.config.digest, manifest.layers, (), (entry.digest, media_type)))
    return result


def _check_name(path: str, digest: Digest) -> None:
    """A config named by its digest (``<hex>.json``, ``blobs/sha256/<hex>``) must have it."""
    stem = path.rpartition("/")[2].removesuffix(".json")
    if _is_hex(stem) and stem != digest.partition(":")[2]:
        raise InvalidArchive(f"invalid archive: config {path[:200]!r} has another content")


def _is_hex(text: str) -> bool:
    return len(text) == 64 and not text.strip("0123456789abcdef")


def _layer(archive: Archive, digest: Digest) -> Descriptor:
    with archive.content.open(digest) as blob:
        kind = detect(blob.read(6))
    media_type = {Compression.GZIP: media_types.OCI_LAYER_GZIP, Compression.ZSTD: media_types.OCI_LAYER_ZSTD}
    return Descriptor(
        media_type=media_type.get(kind, media_types.OCI_LAYER), digest=digest, size=archive.content.size(digest)
    )


def _tagged(name: str) -> Reference:
    parsed = references.parse(name)
    if parsed.tag is None or parsed.digest is not None:
        raise InvalidArchive(f"invalid tag {name[:200]!r}")
    return parsed


# -- OCI layout


def _oci_layout(archive: Archive, platform: Platform | None) -> list[_Found]:
    if not archive.has("index.json"):
        raise InvalidArchive("invalid archive: does not contain a manifest.json or an index.json")
    index = decode_index(archive.document("index.json"))
    if len(index.manifests) > _MAX_IMAGES:
        raise InvalidArchive(f"invalid archive: index.json lists {len(index.manifests)} images")
    result: dict[Digest, _Found] = {}
    for entry in index.manifests:
        manifest, digest, media_type = _descend(archive, entry, platform, 0)
        names = _names(entry.annotations or {})
        if digest in result:
            known = result[digest]
            result[digest] = _Found(known.config, known.layers, known.names + names, known.manifest)
            continue
        for layer in manifest.layers:
            archive.blob(layer.digest)
        result[digest] = _Found(archive.blob(manifest.config.digest), manifest.layers, names, (digest, media_type))
    return list(result.values())


def _descend(
    archive: Archive, entry: Descriptor, platform: Platform | None, depth: int
) -> tuple[Manifest, Digest, str]:
    if depth > MAX_NESTING:
        raise InvalidArchive("invalid archive: image index is nested too deep")
    data = archive.content.read(archive.blob(entry.digest))
    media_type = media_type_of(data, entry.media_type)
    if media_type in media_types.MANIFESTS:
        return decode_manifest(data), entry.digest, media_type
    children = decode_index(data).manifests
    here = [child for child in children if archive.has(f"blobs/{child.digest.replace(':', '/')}")]
    found = best_match(platform or host_platform(), [child.platform for child in here])
    if found is None:
        raise InvalidArchive("invalid archive: image index has nothing for this platform")
    return _descend(archive, here[found], platform, depth + 1)


def _names(annotations: dict[str, str]) -> tuple[Reference, ...]:
    for key in _NAME_ANNOTATIONS:
        text = annotations.get(key, "")
        # A bare word is a tag without a repository: it names nothing here.
        if text and (":" in text or "/" in text):
            try:
                parsed = references.parse(text)
            except InvalidReference as exc:
                raise InvalidArchive(f"invalid archive: {key} {text[:200]!r}: {exc}") from exc
            if parsed.digest is None:
                return (parsed.with_default_tag(),)
    return ()

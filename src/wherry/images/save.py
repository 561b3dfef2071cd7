"""``docker save``: a tar that is a docker-archive and an OCI layout at once, as Docker writes since version 25.

Blobs go out as they are stored. Every document's bytes and every time are fixed by the images' content.
"""

import io
import json
import tarfile
from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, Final

from wherry.errors import InvalidParameter, NotFound
from wherry.images.create import describe
from wherry.images.image import ImageNotFound
from wherry.images.list import created_at
from wherry.images.resolve import is_id, resolve
from wherry.images.store import ImageRecord
from wherry.images.stores import Stores
from wherry.oci import codec, media_types
from wherry.oci import reference as references
from wherry.oci.digest import Digest
from wherry.oci.manifest import decode_manifest
from wherry.oci.platform import Platform
from wherry.oci.reference import Reference

_CHUNK: Final = 1 << 20


def save(stores: Stores, names: Sequence[str], out: BinaryIO, platform: Platform | None = None) -> None:
    """Write the images to ``out``, which stays open. A name without tag saves all tags of its repository."""
    if not names:
        raise InvalidParameter("no image names given")
    chosen = _choose(stores, names, platform)
    with stores.content.leases.lease() as lease:
        for record, _ in chosen.values():
            for digest in _blobs(record):
                lease.add(digest)
        _write(stores, chosen, out)
    for image_id in chosen:
        stores.publish("image", "save", image_id, {"name": image_id})


_Chosen = dict[str, tuple[ImageRecord, list[Reference]]]


def _choose(stores: Stores, names: Sequence[str], platform: Platform | None) -> _Chosen:
    chosen: _Chosen = {}

    def add(image_id: str, reference: Reference | None) -> None:
        record = stores.images.get(image_id)
        if record is not None:
            _, tags = chosen.setdefault(image_id, (record, []))
            if reference is not None and reference not in tags:
                tags.append(reference)

    for name in names:
        whole = _whole_repository(stores, name)
        for image_id, reference in whole:
            add(image_id, reference)
        if whole:
            continue
        try:
            image = resolve(stores, name, platform)
        except ImageNotFound:
            raise _unknown(name) from None
        parsed = None if is_id(name, image.id) else references.parse(name).with_default_tag()
        add(image.id, parsed if parsed is not None and parsed.digest is None else None)
    return chosen


def _unknown(name: str) -> NotFound:
    """Docker's texts here are others than everywhere else."""
    tagged = references.parse(name).tag or references.parse(name).digest
    return NotFound("reference does not exist" if tagged else f"No such image: {name}")


def _whole_repository(stores: Stores, name: str) -> list[tuple[str, Reference]]:
    try:
        parsed = references.parse(name)
    except references.InvalidReference:
        return []
    if parsed.tag is not None or parsed.digest is not None:
        return []
    return [
        (record.id, references.from_repository(repository, tag=tag))
        for record in stores.images.all()
        for repository, tag in record.tags
        if repository == parsed.repository
    ]


def _blobs(record: ImageRecord) -> list[Digest]:
    return [Digest(record.id), record.manifest_digest, *(layer.blob_digest for layer in record.layers)]


def _write(stores: Stores, chosen: _Chosen, out: BinaryIO) -> None:
    entries: list[dict[str, Any]] = []
    descriptors: list[dict[str, Any]] = []
    blobs: dict[Digest, bytes | None] = {}
    latest = 0
    for record, tags in chosen.values():
        manifest, digest = _manifest(stores, record)
        image = stores.from_record(record)
        latest = max(latest, int(created_at(image)))
        for layer in record.layers:
            blobs[layer.blob_digest] = None
        blobs[Digest(record.id)] = None
        blobs[digest] = manifest
        entries.append(
            {
                "Config": _path(record.id),
                "RepoTags": [tag.familiar for tag in tags] or None,
                "Layers": [_path(layer.blob_digest) for layer in record.layers],
            }
        )
        descriptor = {"mediaType": record.manifest_media_type, "digest": digest, "size": len(manifest)}
        descriptors += [
            {
                **descriptor,
                "annotations": {
                    "io.containerd.image.name": str(tag),
                    "org.opencontainers.image.ref.name": tag.tag,
                },
            }
            for tag in tags
        ] or [descriptor]
    writer = _Writer(out, latest)
    writer.directories(["blobs", *sorted({"blobs/" + d.partition(":")[0] for d in blobs})])
    for blob, data in blobs.items():
        if data is not None:
            writer.document(_path(blob), data)
            continue
        with stores.content.open(blob) as source:
            writer.stream(_path(blob), source, stores.content.size(blob))
    index = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": descriptors}
    writer.document("index.json", _json(index))
    writer.document("manifest.json", _json(entries))
    writer.document("oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    writer.finish()


def _manifest(stores: Stores, record: ImageRecord) -> tuple[bytes, Digest]:
    """The image's manifest; rewritten when a layer is stored as another blob than the one it names."""
    data = stores.content.read(record.manifest_digest)
    manifest = decode_manifest(data)
    if [layer.digest for layer in manifest.layers] == [layer.blob_digest for layer in record.layers]:
        return data, record.manifest_digest
    data = codec.encode(describe(manifest.config, record.layers))
    return data, stores.content.write(data)


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _path(digest: str) -> str:
    return "blobs/" + digest.replace(":", "/")


class _Writer:
    def __init__(self, out: BinaryIO, mtime: int) -> None:
        self._out = out
        self._mtime = mtime

    def directories(self, names: Iterable[str]) -> None:
        for name in names:
            self._header(name + "/", 0, tarfile.DIRTYPE, 0o755)

    def document(self, name: str, data: bytes) -> None:
        self.stream(name, io.BytesIO(data), len(data))

    def stream(self, name: str, source: BinaryIO, size: int) -> None:
        self._header(name, size, tarfile.REGTYPE, 0o644)
        while chunk := source.read(_CHUNK):
            self._put(chunk)
        self._put(bytes(-size % tarfile.BLOCKSIZE))

    def finish(self) -> None:
        self._put(bytes(2 * tarfile.BLOCKSIZE))

    def _header(self, name: str, size: int, kind: bytes, mode: int) -> None:
        info = tarfile.TarInfo(name)
        info.size, info.type, info.mode, info.mtime = size, kind, mode, self._mtime
        self._put(info.tobuf(tarfile.GNU_FORMAT))

    def _put(self, data: bytes) -> None:
        self._out.write(data)

"""One layer of a push: it is there already, or can be mounted, or is sent, compressed if it is stored plain."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO, Final, TypeVar

from wherry.content.errors import StorageFault
from wherry.content.gzip_writer import compress
from wherry.content.leases import Lease
from wherry.errors import WherryError
from wherry.images.download import Cancelled
from wherry.images.progress import ProgressSink
from wherry.images.store import LayerRecord, PushedLayer
from wherry.images.stores import Stores
from wherry.oci import media_types
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import Digest, Hasher, algorithm
from wherry.registry.client import Repository
from wherry.registry.uploads import begin_upload, blob_exists, upload_blob

T = TypeVar("T")

_CHUNK_BYTES: Final = 256 << 10
_MOUNTS_TRIED: Final = 3
_PLAIN: Final = frozenset({media_types.OCI_LAYER, media_types.DOCKER_LAYER})
_OCI_TYPES: Final = {
    media_types.DOCKER_LAYER_GZIP: media_types.OCI_LAYER_GZIP,
    media_types.DOCKER_LAYER_ZSTD: media_types.OCI_LAYER_ZSTD,
}


class LayerPush:
    """``run`` in a thread of its own; then ``result`` is the blob that the repository has."""

    def __init__(
        self,
        stores: Stores,
        repository: Repository,
        layer: LayerRecord,
        lease: Lease,
        sink: ProgressSink,
        cancelled: threading.Event,
    ) -> None:
        self._stores = stores
        self._repository = repository
        self._layer = layer
        self._lease = lease
        self._sink = sink
        self._cancelled = cancelled
        self._stopped = threading.Event()
        self.identity = layer.diff_id.partition(":")[2][:12]
        """What the progress calls it, as Docker does."""
        self.made: set[Digest] = set()
        """Compressed blobs that this push has stored, and that nothing needs after it."""
        self.result: Descriptor

    def stop(self) -> None:
        """Another layer has failed: send no more."""
        self._stopped.set()

    def run(self) -> None:
        """Raises what the registry answers, Cancelled, StorageFault."""
        with self._stores.uploads:
            self._check()
            known = self._known()
            location: str | None = None
            if known is not None:
                done, location = self._offer(known)
                if done:
                    self._finish(known)
                    return
            blob = known
            if blob is None or not self._stores.content.has(blob.digest):
                blob = self._compress()
                if blob != known and self._retry(lambda: blob_exists(self._repository, blob.digest)):
                    self._sink.step(self.identity, "Layer already exists")
                    self._finish(blob)
                    return
            size = blob.size
            send_file(
                self._stores, self._repository, blob, location,
                lambda count: self._sink.amount(self.identity, "Pushing", count, size), self._check, self._cancelled,
            )  # fmt: skip
            self._sink.step(self.identity, "Pushed")
            self._finish(blob)

    def _known(self) -> Descriptor | None:
        """The blob in its compressed form, here or only remembered; None: it has to be made first."""
        layer = self._layer
        if layer.blob_media_type not in _PLAIN:
            kind = _OCI_TYPES.get(layer.blob_media_type, layer.blob_media_type)
            return Descriptor(media_type=kind, digest=layer.blob_digest, size=layer.blob_size)
        pushed = self._stores.images.pushed(layer.diff_id)
        if not pushed:
            return None
        target = self._repository.reference.repository
        latest = next((item for item in pushed if item.repository == target), pushed[0])
        return Descriptor(media_type=media_types.OCI_LAYER_GZIP, digest=latest.blob_digest, size=latest.blob_size)

    def _offer(self, blob: Descriptor) -> tuple[bool, str | None]:
        """Whether the repository has the blob now, and if not, the upload that a refused mount has opened."""
        if self._retry(lambda: blob_exists(self._repository, blob.digest)):
            self._sink.step(self.identity, "Layer already exists")
            return True, None
        for source in self._mount_sources(blob.digest):
            mount = partial(begin_upload, self._repository, mount=blob.digest, mount_from=source)
            try:
                location = self._retry(mount)
            except WherryError:
                continue  # a mount saves an upload; if the upload is refused as well, that is what the user reads
            if location is not None:
                return False, location
            self._sink.step(self.identity, f"Mounted from {source}")
            return True, None
        return False, None

    def _mount_sources(self, digest: Digest) -> list[str]:
        reference = self._repository.reference
        prefix = f"{reference.domain}/"
        found = [
            name.removeprefix(prefix)
            for name in self._stores.images.repositories_with(digest)
            if name.startswith(prefix) and name != reference.repository
        ]
        return found[:_MOUNTS_TRIED]

    def _compress(self) -> Descriptor:
        """Write the compressed blob into the content store; what is read is checked against its digest."""
        content, layer = self._stores.content, self._layer
        with content.open(layer.blob_digest) as plain, content.ingest(None, None) as ingest:
            source = _Checked(plain, layer.blob_digest, self._check)
            compress(source, ingest)
            source.verify()
            digest, size = ingest.verify(), ingest.written_bytes
            self._lease.add(digest)
            if not content.has(digest):
                self.made.add(digest)
            ingest.commit()
        return Descriptor(media_type=media_types.OCI_LAYER_GZIP, digest=digest, size=size)

    def _finish(self, blob: Descriptor) -> None:
        if self._layer.blob_media_type in _PLAIN:
            target = self._repository.reference.repository
            self._stores.images.note_pushed(self._layer.diff_id, PushedLayer(target, blob.digest, blob.size))
        self.result = blob

    def _check(self) -> None:
        if self._cancelled.is_set() or self._stopped.is_set():
            raise Cancelled

    def _retry(self, work: Callable[[], T]) -> T:
        return self._stores.registry.retry.call(work, self._cancelled)


def send_file(
    stores: Stores,
    repository: Repository,
    blob: Descriptor,
    location: str | None,
    told: Callable[[int], None],
    check: Callable[[], None],
    cancelled: threading.Event,
) -> None:
    """Upload a blob of the content store. ``check`` is called before every piece and may raise."""

    def source(offset: int, count: int) -> Iterator[bytes]:
        with stores.content.open(blob.digest) as file:
            file.seek(offset)
            while count:
                check()
                piece = file.read(min(count, _CHUNK_BYTES))
                if not piece:
                    raise StorageFault(f"read blob {blob.digest}: shorter than its {blob.size} bytes")
                count -= len(piece)
                yield piece

    upload_blob(
        repository, blob, source, location=location, told=told, retry=stores.registry.retry, cancelled=cancelled
    )


class _Checked:
    """Hashes what is read of a stored blob."""

    def __init__(self, file: BinaryIO, digest: Digest, check: Callable[[], None]) -> None:
        self._file = file
        self._digest = digest
        self._hasher = Hasher(algorithm(digest))
        self._check = check

    def read(self, size: int, /) -> bytes:
        self._check()
        data = self._file.read(size)
        self._hasher.update(data)
        return data

    def verify(self) -> None:
        if self._hasher.digest() != self._digest:
            raise StorageFault(f"read blob {self._digest}: stored content is corrupt")

"""Pulling: name → manifest → config → layers (fetched in parallel, unpacked in order) → the name, last.

A failed pull moves no tag. Content that was refused is deleted at once (S01, S18); what a broken network or
a cancelled pull left whole or half stays for the next try (R21).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, TypeVar

from wherry.content.errors import StorageFault
from wherry.content.leases import Lease
from wherry.errors import InvalidParameter, NotFound, WherryError
from wherry.images.download import Cancelled, Download
from wherry.images.image import Image, ImageId
from wherry.images.layers import Budget, unpack_layer
from wherry.images.manifest_checks import check_media_types, check_sizes
from wherry.images.progress import ProgressSink
from wherry.images.store import LayerRecord
from wherry.images.stores import Stores, snapshot_key
from wherry.images.transfer import Transfer
from wherry.oci import media_types
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import DiffId, Digest
from wherry.oci.image_config import ImageConfig, check_layer_count, decode_image_config
from wherry.oci.index import MAX_NESTING, decode_index
from wherry.oci.manifest import InvalidManifest, Manifest, decode_manifest, media_type_of
from wherry.oci.platform import best_match, host_platform, matches
from wherry.oci.reference import Reference, from_repository
from wherry.registry.blobs import fetch_blob
from wherry.registry.client import Repository
from wherry.registry.manifests import FetchedManifest, fetch_manifest, head_manifest
from wherry.registry.tags import list_tags
from wherry.snapshots.chain_id import ChainId, chain_ids
from wherry.snapshots.snapshotter import SnapshotFailed

T = TypeVar("T")


class NoMatchingManifest(NotFound):
    """The index has nothing for the platform."""


class PlatformMismatch(NotFound):
    """The image is for another platform than the one asked for."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """The manifest of the wanted platform, and the digest under which the name points to it."""

    named_digest: Digest
    fetched: FetchedManifest
    manifest: Manifest


def pull(stores: Stores, reference: Reference, transfer: Transfer) -> Image:
    """Pull ``reference`` (with a tag or digest). Raises the errors of ``registry.errors`` with Docker's texts."""
    sink = ProgressSink(transfer.progress, transfer.cancelled)
    repository = stores.registry.repository(reference, transfer.auth)
    image, newer = _pull_one(_Pull(stores, reference, repository, sink, transfer), stores, sink)
    _conclude(stores, reference, sink, newer=newer, labels=_labels(image.config))
    return image


def pull_all(stores: Stores, reference: Reference, transfer: Transfer) -> None:
    """Pull every tag that the registry lists for the repository, one after the other; the first failure ends it."""
    sink = ProgressSink(transfer.progress, transfer.cancelled)
    repository = stores.registry.repository(reference, transfer.auth)
    newer = False
    for name in stores.registry.retry.call(lambda: list_tags(repository), transfer.cancelled):
        tagged = from_repository(reference.repository, tag=name)
        worker = _Pull(stores, tagged, repository, sink, transfer)
        newer = _pull_one(worker, stores, sink)[1] or newer
    _conclude(stores, reference, sink, newer=newer, labels={})


def _pull_one(worker: "_Pull", stores: Stores, sink: ProgressSink) -> tuple[Image, bool]:
    """The image, and whether anything had to be fetched for it."""
    current = worker.up_to_date()
    if current is not None:
        image, digest = current
        worker.announce()
    else:
        try:
            with stores.content.leases.lease() as lease:
                image, digest = worker.run(lease)
        except (InvalidParameter, StorageFault, SnapshotFailed):
            stores.collect(among=worker.fetched)
            raise
        finally:
            sink.raise_failure()
    sink.message(f"Digest: {digest}")
    return image, current is None


def _conclude(
    stores: Stores, reference: Reference, sink: ProgressSink, *, newer: bool, labels: dict[str, str]
) -> None:
    sink.message(f"Status: {'Downloaded newer image' if newer else 'Image is up to date'} for {reference.familiar}")
    sink.raise_failure()
    stores.publish("image", "pull", reference.familiar, {"name": reference.familiar_name, **labels})


@dataclass(frozen=True, slots=True)
class _Step:
    """One layer to unpack."""

    blob: Descriptor
    diff_id: DiffId
    parent: ChainId | None
    identity: str


class _Pull:
    def __init__(
        self,
        stores: Stores,
        reference: Reference,
        repository: Repository,
        sink: ProgressSink,
        transfer: Transfer,
    ) -> None:
        self._stores = stores
        self._reference = reference
        self._repository = repository
        self._platform = transfer.platform
        self._sink = sink
        self._cancelled = transfer.cancelled
        self.fetched: set[Digest] = set()
        """Every blob that this pull may have brought."""

    def announce(self) -> None:
        """The first line of progress; none goes before an error of the registry, which so is a status."""
        self._sink.message(
            f"Pulling from {self._reference.path}", self._reference.digest or self._reference.tag or ""
        )

    def up_to_date(self) -> tuple[Image, Digest] | None:
        """The image that the name stands for already, found with at most one request."""
        reference, images = self._reference, self._stores.images
        if reference.digest is not None:
            for image_id in images.by_digest(reference.repository, reference.digest):
                image = self._stores.image(image_id)
                if self._fits(image.config):
                    return image, reference.digest
            return None
        assert reference.tag is not None
        tagged = images.by_tag(reference.repository, reference.tag)
        record = images.get(tagged) if tagged is not None else None
        known = {digest for name, digest in record.digests if name == reference.repository} if record else set()
        if record is None or not known:
            return None
        digest = self._retry(lambda: head_manifest(self._repository, reference.tag or ""))
        if digest is None or digest not in known:
            return None
        image = self._stores.from_record(record)
        return (image, digest) if self._fits(image.config) else None

    def run(self, lease: Lease) -> tuple[Image, Digest]:
        """Fetch, unpack, record."""
        chosen = self._choose(lease)
        self.announce()
        manifest = chosen.manifest
        check_media_types(manifest)
        check_sizes(manifest, self._stores.settings)
        config_blob = self._small_blob(manifest.config, lease)
        config = decode_image_config(config_blob)
        check_layer_count(config, len(manifest.layers))
        if self._platform is not None and not self._fits(config):
            raise PlatformMismatch(
                f"image with reference {self._reference.familiar} was found but does not match the specified "
                f"platform: wanted {self._platform}, actual: {config.platform}"
            )
        image_id = ImageId(manifest.config.digest)
        records = self._layers(manifest, config, lease)
        sizes = self._stores.layer_sizes()
        self._stores.images.add(
            image_id,
            chosen.fetched.digest,
            chosen.fetched.media_type,
            sum(sizes.get(record.chain_id, 0) for record in records),
            records,
            tags=[(self._reference.repository, self._reference.tag)]
            if self._reference.tag and not self._reference.digest
            else [],
            digests=[(self._reference.repository, chosen.named_digest)],
        )
        return self._stores.image(image_id), chosen.named_digest

    # -- manifest and config

    def _choose(self, lease: Lease) -> _Chosen:
        reference = self._reference
        name = reference.digest or reference.tag or ""
        fetched = self._retry(lambda: fetch_manifest(self._repository, name))
        named = fetched.digest
        for _ in range(MAX_NESTING):
            self._keep(fetched, lease)
            if fetched.media_type in media_types.MANIFESTS:
                return _Chosen(named, fetched, decode_manifest(fetched.data))
            fetched = self._child(decode_index(fetched.data).manifests, lease)
        raise InvalidManifest(f"image index of {reference.familiar} is nested deeper than {MAX_NESTING} levels")

    def _child(self, children: tuple[Descriptor, ...], lease: Lease) -> FetchedManifest:
        wanted = self._platform or host_platform()
        usable = [child for child in children if child.media_type in media_types.MANIFESTS | media_types.INDEXES]
        found = best_match(wanted, [child.platform for child in usable])
        if found is None:
            raise NoMatchingManifest(f"no matching manifest for {wanted} in the manifest list entries")
        child = usable[found]
        lease.add(child.digest)
        if self._stores.content.has(child.digest):
            data = self._stores.content.read(child.digest)
            return FetchedManifest(child.digest, media_type_of(data, child.media_type), data)
        fetched = self._retry(lambda: fetch_manifest(self._repository, child.digest, child.size))
        if fetched.media_type != child.media_type:
            raise InvalidManifest(
                f"manifest {child.digest} is {fetched.media_type}, its index says {child.media_type}"
            )
        return fetched

    def _keep(self, fetched: FetchedManifest, lease: Lease) -> None:
        lease.add(fetched.digest)
        self.fetched.add(fetched.digest)
        self._stores.content.write(fetched.data, fetched.digest)

    def _small_blob(self, descriptor: Descriptor, lease: Lease) -> bytes:
        content = self._stores.content
        lease.add(descriptor.digest)
        if content.has(descriptor.digest):
            return content.read(descriptor.digest)
        parts: list[bytes] = []

        def fetch() -> None:
            parts.clear()
            fetch_blob(self._repository, descriptor, 0, parts.append)

        self._retry(fetch)
        self.fetched.add(descriptor.digest)
        data = b"".join(parts)
        content.write(data, descriptor.digest)
        return data

    def _fits(self, config: ImageConfig) -> bool:
        return self._platform is None or matches(self._platform, config.platform)

    # -- layers

    def _layers(self, manifest: Manifest, config: ImageConfig, lease: Lease) -> list[LayerRecord]:
        chains = chain_ids(config.diff_ids)
        records: list[LayerRecord] = []
        downloads: dict[int, Download] = {}
        ids = [_short(layer.digest) for layer in manifest.layers]
        try:
            present = 0
            for i, chain in enumerate(chains):
                lease.add(snapshot_key(chain))
                lease.add(manifest.layers[i].digest)
                record = self._present(chain, manifest.layers[i])
                if record is None:
                    break
                lease.add(record.blob_digest)
                records.append(record)
                self._sink.step(ids[i], "Already exists")
                present += 1
            for i in range(present, len(chains)):
                lease.add(snapshot_key(chains[i]))
                self._sink.step(ids[i], "Pulling fs layer")
            for i in range(present, len(chains)):
                layer = manifest.layers[i]
                lease.add(layer.digest)
                self.fetched.add(layer.digest)
                if layer.digest not in {d.descriptor.digest for d in downloads.values()}:
                    downloads[i] = self._start(layer, ids[i])
            budget = Budget(self._stores.settings.max_layer_size_bytes, self._stores.settings.max_image_size_bytes)
            for i in range(present, len(chains)):
                layer = manifest.layers[i]
                step = _Step(layer, config.diff_ids[i], chains[i - 1] if i else None, ids[i])
                self._unpack(step, i, downloads, budget)
                records.append(LayerRecord(config.diff_ids[i], chains[i], layer.digest, layer.media_type, layer.size))
                self._sink.step(ids[i], "Pull complete")
            return records
        finally:
            for download in downloads.values():
                self._stores.downloads.release(download)
            for download in downloads.values():
                self._stores.downloads.settle(download)

    def _present(self, chain: ChainId, layer: Descriptor) -> LayerRecord | None:
        from_other = self._stores.images.layer_by_chain(chain)
        if from_other is None or not self._stores.snapshotter.has(chain):
            return None
        return from_other if self._stores.content.has(from_other.blob_digest) else None

    def _start(self, layer: Descriptor, identity: str) -> Download:
        download = self._stores.downloads.acquire(self._repository, layer)

        def listen(status: str, current: int) -> None:
            if status == "Downloading":
                self._sink.amount(identity, status, current, layer.size)
            else:
                self._sink.step(identity, status)

        download.add_listener(listen)
        return download

    def _unpack(self, step: "_Step", i: int, downloads: dict[int, Download], budget: Budget) -> None:
        digest = step.blob.digest
        download = downloads.get(i) or next(d for d in downloads.values() if d.descriptor.digest == digest)
        try:
            self._unpack_once(download, step, budget)
        except WherryError:
            # Bytes that an earlier, killed download left may be torn: only then a second try is worth it.
            if i not in downloads or not download.resumed or self._cancelled.is_set() or _arrived(download):
                raise
            self._stores.downloads.release(download)
            downloads[i] = self._start(step.blob, step.identity)
            self._unpack_once(downloads[i], step, budget)

    def _unpack_once(self, download: Download, step: "_Step", budget: Budget) -> None:
        total = step.blob.size
        with download.open(self._check) as blob:
            shown = _Shown(
                blob, lambda count: self._sink.amount(step.identity, "Extracting", count, total), self._check
            )
            unpack_layer(self._stores, step.parent, step.diff_id, shown, budget)
        download.wait(self._check)

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _retry(self, work: Callable[[], T]) -> T:
        return self._stores.registry.retry.call(work, self._cancelled)


class _Shown:
    """Tells how much of the blob has been unpacked, and stops when the pull is cancelled."""

    def __init__(self, blob: BinaryIO, tell: Callable[[int], None], check: Callable[[], None]) -> None:
        self._blob = blob
        self._tell = tell
        self._check = check
        self._count = 0

    def read(self, size: int = 1 << 20, /) -> bytes:
        self._check()
        data = self._blob.read(size)
        self._count += len(data)
        self._tell(self._count)
        return data


def _arrived(download: Download) -> bool:
    """Wait for the download's end; whether the blob itself is whole."""
    try:
        download.wait(lambda: None)
    except WherryError:
        return False
    return True


def _short(digest: str) -> str:
    return digest.partition(":")[2][:12]


def _labels(config: ImageConfig) -> dict[str, str]:
    return dict(config.defaults.labels or {})

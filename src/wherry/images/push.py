"""Pushing: layers (some at once) → config → manifest, under the tag; each only when what it names is there.

What was pulled goes out as it came: same blobs, same manifest, same digest. A layer that is stored uncompressed
is sent as gzip (``images/push_layer``), and then the manifest says so.
"""

import threading
from collections.abc import Callable
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import TypeVar

import msgspec

from wherry.content.leases import Lease
from wherry.errors import InvalidParameter, NotFound
from wherry.images.download import Cancelled
from wherry.images.image import ImageId
from wherry.images.progress import ProgressSink
from wherry.images.push_layer import LayerPush, send_file
from wherry.images.resolve import PlatformNotHere
from wherry.images.store import ImageRecord
from wherry.images.stores import Stores
from wherry.images.transfer import Transfer
from wherry.oci import codec, media_types
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import Digest
from wherry.oci.manifest import Manifest, decode_manifest
from wherry.oci.platform import matches
from wherry.oci.reference import Reference, from_repository
from wherry.registry.client import Repository
from wherry.registry.manifests import put_manifest
from wherry.registry.uploads import blob_exists

T = TypeVar("T")


class NotTagged(NotFound):
    """There is no such name to push."""


def push(stores: Stores, reference: Reference, transfer: Transfer) -> None:
    """Push the image that ``reference`` tags; without a tag every tag of the repository.

    Raises NotTagged, and the errors of ``registry.errors`` in the registry's words.
    """
    if reference.digest is not None:
        raise InvalidParameter("cannot push a digest reference")
    sink = ProgressSink(transfer.progress, transfer.cancelled)
    sink.message(f"The push refers to repository [{reference.repository}]")
    tags = _tags(stores, reference)
    repository = stores.registry.repository(reference, transfer.auth)
    stores.registry.retry.call(repository.ping, transfer.cancelled)
    for named, image_id in _wanted(reference, tags):
        image = stores.image(image_id)
        if transfer.platform is not None and not matches(transfer.platform, image.config.platform):
            raise PlatformNotHere(
                f"image with reference {named.familiar} was found but does not provide the specified platform "
                f"({transfer.platform})"
            )
        try:
            _Push(stores, named, repository, sink, transfer.cancelled).run(image_id)
        finally:
            sink.raise_failure()
        attributes = {"name": named.familiar_name, **(image.config.defaults.labels or {})}
        stores.publish("image", "push", named.familiar, attributes)


def _tags(stores: Stores, reference: Reference) -> dict[str, ImageId]:
    """The repository's tags; raises NotTagged when there are none, before the registry is asked anything."""
    found = {
        tag: record.id
        for record in stores.images.all()
        for repository, tag in record.tags
        if repository == reference.repository
    }
    if not found:
        raise NotTagged(f"An image does not exist locally with the tag: {reference.familiar_name}")
    return found


def _wanted(reference: Reference, tags: dict[str, ImageId]) -> list[tuple[Reference, ImageId]]:
    if reference.tag is None:
        return [(from_repository(reference.repository, tag=tag), tags[tag]) for tag in sorted(tags)]
    if reference.tag not in tags:
        raise NotTagged(f"tag does not exist: {reference.familiar}")
    return [(reference, tags[reference.tag])]


class _Push:
    def __init__(
        self,
        stores: Stores,
        reference: Reference,
        repository: Repository,
        sink: ProgressSink,
        cancelled: threading.Event,
    ) -> None:
        self._stores = stores
        self._reference = reference
        self._repository = repository
        self._sink = sink
        self._cancelled = cancelled

    def run(self, image_id: ImageId) -> None:
        record = self._stores.images.get(image_id)
        if record is None:
            raise NotTagged(f"tag does not exist: {self._reference.familiar}")
        content = self._stores.content
        made: set[Digest] = set()
        try:
            with content.leases.lease() as lease:
                for digest in (image_id, record.manifest_digest, *(layer.blob_digest for layer in record.layers)):
                    lease.add(digest)
                stored = content.read(record.manifest_digest)
                manifest = decode_manifest(stored)
                layers = self._layers(record, lease, made)
                config = manifest.config
                if [layer.digest for layer in layers] == [layer.digest for layer in manifest.layers]:
                    data, media_type = stored, record.manifest_media_type
                else:
                    config = Descriptor(media_type=media_types.OCI_CONFIG, digest=config.digest, size=config.size)
                    data, media_type = _encode(manifest, config, layers), media_types.OCI_MANIFEST
                self._config(config)
                digest = self._retry(
                    lambda: put_manifest(self._repository, self._reference.tag or "", media_type, data)
                )
                lease.add(content.write(data))
                self._stores.images.add_digest(self._reference.repository, digest, image_id)
        finally:
            if made:
                self._stores.collect(among=made)
        self._sink.message(f"{self._reference.tag}: digest: {digest} size: {len(data)}")
        self._sink.aux({"Tag": self._reference.tag, "Digest": digest, "Size": len(data)})

    def _layers(self, record: ImageRecord, lease: Lease, made: set[Digest]) -> list[Descriptor]:
        """Send what the registry lacks; the layers as it has them, base first."""
        pushes: dict[str, LayerPush] = {}
        for layer in reversed(record.layers):
            if layer.diff_id not in pushes:
                pushes[layer.diff_id] = LayerPush(
                    self._stores, self._repository, layer, lease, self._sink, self._cancelled
                )
                self._sink.step(pushes[layer.diff_id].identity, "Preparing")
        if not pushes:
            return []
        at_once = min(len(pushes), max(self._stores.settings.max_concurrent_uploads, 1))
        with ThreadPoolExecutor(at_once, thread_name_prefix="upload") as pool:
            running = [pool.submit(work.run) for work in pushes.values()]
            done, _ = wait(running, return_when=FIRST_EXCEPTION)
            failed = next((item for item in done if item.exception() is not None), None)
            if failed is not None:
                for work in pushes.values():
                    work.stop()
                pool.shutdown(cancel_futures=True)
        for work in pushes.values():
            made |= work.made
        if failed is not None:
            failed.result()
        return [pushes[layer.diff_id].result for layer in record.layers]

    def _config(self, config: Descriptor) -> None:
        if not self._retry(lambda: blob_exists(self._repository, config.digest)):
            send_file(self._stores, self._repository, config, None, lambda count: None, self._check, self._cancelled)

    def _check(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _retry(self, work: Callable[[], T]) -> T:
        return self._stores.registry.retry.call(work, self._cancelled)


def _encode(manifest: Manifest, config: Descriptor, layers: list[Descriptor]) -> bytes:
    """The manifest for other blobs; its annotations stay."""
    return codec.encode(
        msgspec.structs.replace(manifest, media_type=media_types.OCI_MANIFEST, config=config, layers=tuple(layers))
    )

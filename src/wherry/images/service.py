"""The image service: what the API and the containers call. One method a verb, the work lies in their files."""

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, BinaryIO

from wherry.content.store import ContentStore
from wherry.errors import InvalidParameter
from wherry.images import inspect as inspecting
from wherry.images import list as listing
from wherry.images import remove as removing
from wherry.images.create import create_image, now_rfc3339, write_layer
from wherry.images.download import Downloads
from wherry.images.image import ContainersUsing, Image, Progress, Publish
from wherry.images.import_ import import_image
from wherry.images.load import load
from wherry.images.manifest_summary import descriptor
from wherry.images.manifest_summary import manifests as summarise
from wherry.images.pull import pull, pull_all
from wherry.images.push import push
from wherry.images.resolve import resolve
from wherry.images.save import save
from wherry.images.store import ImageStore
from wherry.images.stores import Stores
from wherry.images.tag import tag
from wherry.images.transfer import Transfer
from wherry.metadata.database import Database
from wherry.oci import reference as references
from wherry.oci.image_config import ContainerConfig, History
from wherry.oci.platform import Platform
from wherry.registry.client import RegistryClient
from wherry.registry.credentials import AuthConfig
from wherry.registry.search import Found, search
from wherry.settings import Settings
from wherry.snapshots.snapshotter import Snapshotter

_INTERRUPTED_KEPT_SECONDS = 24 * 3600.0
Filters = Mapping[str, Sequence[str]]


class Images:
    """Thread-safe. Errors are kinds of wherry.errors with Docker's text.

    ``containers_using`` comes from the layer above: it says which containers keep an image in use.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        content: ContentStore,
        snapshotter: Snapshotter,
        publish: Publish,
        *,
        containers_using: ContainersUsing = lambda image_id: [],
        registry: RegistryClient | None = None,
    ) -> None:
        client = registry or RegistryClient(settings)
        self._stores = Stores(
            settings,
            ImageStore(database),
            content,
            snapshotter,
            client,
            Downloads(content, client.retry, at_once=settings.max_concurrent_downloads),
            threading.BoundedSemaphore(max(settings.max_concurrent_uploads, 1)),
            publish,
            containers_using,
        )

    def recover(self) -> None:
        """After a start: delete what no image needs, but keep a day what an interrupted pull may come back for."""
        self._stores.content.discard_partial(older_than_seconds=_INTERRUPTED_KEPT_SECONDS)
        self._stores.collect(older_than_seconds=_INTERRUPTED_KEPT_SECONDS)

    def collect(self) -> None:
        """Delete layers that became unused, such as after the removal of a container whose image is gone."""
        self._stores.collect(among=set())

    def close(self) -> None:
        """Close connections to registries."""
        self._stores.registry.close()

    def resolve(self, name: str, platform: Platform | None = None) -> Image:
        """By reference, id or id prefix; raises ImageNotFound (``No such image: x:latest``)."""
        return resolve(self._stores, name, platform)

    def pull(self, reference: str, transfer: Transfer) -> Image:
        """Pull one tag (``latest`` when none) or digest."""
        return pull(self._stores, references.parse(reference).with_default_tag(), transfer)

    def pull_all(self, repository: str, transfer: Transfer) -> None:
        """Pull every tag of a repository, which is named without one."""
        pull_all(self._stores, references.parse(repository), transfer)

    def push(self, reference: str, transfer: Transfer) -> None:
        """Push one tag, or every tag of a repository that is named without one."""
        push(self._stores, references.parse(reference), transfer)

    def search(
        self, term: str, *, limit: int | None = None, filters: Filters | None = None, auth: AuthConfig | None = None
    ) -> Sequence[Found]:
        """Ask the registry that the term begins with, else docker.io."""
        return search(self._stores.settings, term, limit=limit, filters=filters, auth=auth)

    def load(
        self, stream: BinaryIO, *, progress: Progress, platform: Platform | None = None, quiet: bool = False
    ) -> Sequence[Image]:
        """Load an archive of ``save``, skopeo, or other tools of the OCI. ``quiet``: no progress, names alone."""
        return load(self._stores, stream, progress=progress, platform=platform, quiet=quiet)

    def import_(
        self,
        stream: BinaryIO,
        *,
        reference: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        platform: Platform | None = None,
        progress: Progress,
    ) -> Image:
        """Make an image of one layer from a root file system's tar."""
        target = references.parse(reference).with_default_tag() if reference else None
        if target is not None and target.digest is not None:
            raise InvalidParameter("cannot import digest reference")
        return import_image(
            self._stores,
            stream,
            reference=target,
            changes=changes,
            message=message,
            platform=platform,
            progress=progress,
        )

    def save(self, names: Sequence[str], out: BinaryIO, platform: Platform | None = None) -> None:
        """Write images as a tar. Unknown names are found before the first byte is written."""
        save(self._stores, names, out, platform)

    def commit(
        self,
        *,
        base: Image | None,
        write_diff: Callable[[BinaryIO], None] | None,
        config: ContainerConfig,
        created_by: str = "",
        author: str = "",
        comment: str = "",
        reference: str = "",
        platform: Platform | None = None,
        container: str = "",
        container_config: dict[str, Any] | None = None,
    ) -> Image:
        """``base`` and one more layer, which ``write_diff`` writes uncompressed (None: only the config changes)."""
        target = references.parse(reference).with_default_tag() if reference else None
        created = now_rfc3339()
        with self._stores.content.leases.lease() as lease:
            layers = [write_layer(self._stores, write_diff, lease)] if write_diff is not None else []
            step = History(
                created=created, created_by=created_by, author=author, comment=comment, empty_layer=not layers
            )
            image = create_image(
                self._stores,
                lease,
                base=base,
                layers=layers,
                history=[step],
                config=config,
                author=author,
                comment=comment,
                platform=platform,
                created=created,
                tags=[(target.repository, target.tag)] if target is not None and target.tag else [],
                container=container,
                container_config=container_config,
            )
        self._stores.publish("image", "create", image.id, {"name": target.familiar if target else image.id})
        return image

    def list_images(self, filters: Filters | None = None, *, all: bool = False) -> Sequence[Image]:
        """The images that pass Docker's filters, newest first."""
        return listing.list_images(self._stores, filters or {}, all=all)

    def summaries(
        self,
        filters: Filters | None = None,
        *,
        all: bool = False,
        shared_size: bool = False,
        count_containers: bool = False,
        described: bool = False,
        manifests: bool = False,
    ) -> Sequence[dict[str, Any]]:
        """Docker's ImageSummary objects; what is not asked for is -1 or left out, as there."""
        images = self.list_images(filters, all=all)
        shared = self._shared_sizes() if shared_size else {}
        return [
            {
                **listing.summary(
                    image,
                    shared_size=shared.get(image.id, -1),
                    containers=len(self._stores.containers_using(image.id)) if count_containers else -1,
                ),
                **({"Descriptor": descriptor(image, self._stores)} if described else {}),
                **self._manifests(image, wanted=manifests),
            }
            for image in images
        ]

    def inspect(self, name: str, platform: Platform | None = None, *, manifests: bool = False) -> dict[str, Any]:
        """Docker's ImageInspect object."""
        image = self.resolve(name, platform)
        return inspecting.inspect(image, self._stores) | self._manifests(image, wanted=manifests)

    def _manifests(self, image: Image, *, wanted: bool) -> dict[str, Any]:
        record = self._stores.images.get(image.id) if wanted else None
        return {"Manifests": summarise(image, record, self._stores)} if record is not None else {}

    def history(self, name: str, platform: Platform | None = None) -> Sequence[dict[str, Any]]:
        """Docker's HistoryResponseItem objects, newest first."""
        return inspecting.history(self.resolve(name, platform), self._stores)

    def tag(self, source: str, repository: str, tag_name: str = "") -> None:
        """Name an image also ``repository:tag``."""
        tag(self._stores, source, repository, tag_name)

    def remove(self, name: str, *, force: bool = False, prune_children: bool = True) -> Sequence[dict[str, str]]:
        """Docker's list of ``{"Untagged": …}`` and ``{"Deleted": …}``; raises Conflict in Docker's words."""
        return removing.remove(self._stores, name, force=force, prune_children=prune_children).records

    def prune(self, filters: Filters | None = None) -> dict[str, Any]:
        """Docker's ImagePruneResponse: ``ImagesDeleted`` and ``SpaceReclaimed`` (bytes)."""
        removed = removing.prune(self._stores, filters or {})
        return {"ImagesDeleted": removed.records or None, "SpaceReclaimed": removed.freed_bytes}

    def layers_size(self) -> int:
        """Bytes of all layers of all images, shared ones once (``system df``)."""
        used = self._stores.images.chain_ids()
        return sum(size for chain, size in self._stores.layer_sizes().items() if chain in used)

    def _shared_sizes(self) -> dict[str, int]:
        sizes = self._stores.layer_sizes()
        records = self._stores.images.all()
        counts: dict[str, int] = {}
        for record in records:
            for layer in record.layers:
                counts[layer.chain_id] = counts.get(layer.chain_id, 0) + 1
        return {
            record.id: sum(sizes.get(x.chain_id, 0) for x in record.layers if counts[x.chain_id] > 1)
            for record in records
        }

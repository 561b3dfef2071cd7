"""A real image service in a temporary data root, and a registry that works."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.registry.fake_registry import FakeRegistry
from wherry.content.local import LocalContentStore
from wherry.images.image import ContainerUse, Image, ImageId
from wherry.images.service import Images
from wherry.images.store import MIGRATIONS, ImageStore
from wherry.images.transfer import Transfer
from wherry.metadata.database import Database
from wherry.registry.client import RegistryClient
from wherry.registry.retry import Retry
from wherry.registry.transport import Timeouts
from wherry.settings import Settings
from wherry.snapshots.overlay import OverlaySnapshotter

QUICK = Retry(attempts=3, first_delay_seconds=0.01, longest_delay_seconds=0.05)


@dataclass
class Service:
    """An image service with everything under it, and what it told."""

    images: Images
    settings: Settings
    content: LocalContentStore
    snapshotter: OverlaySnapshotter
    database: Database
    events: list[tuple[str, str, str, dict[str, str]]] = field(default_factory=list)
    progress: list[dict[str, Any]] = field(default_factory=list)
    uses: dict[str, list[ContainerUse]] = field(default_factory=dict)

    def transfer(self, **options: Any) -> Transfer:
        return Transfer(self.progress.append, **options)

    def pull(self, name: str, **options: Any) -> Image:
        return self.images.pull(name, self.transfer(**options))

    def statuses(self) -> list[str]:
        return [message["status"] for message in self.progress if "status" in message]

    def blobs(self) -> set[str]:
        return {digest for digest, _ in self.content.walk()}

    def layers(self) -> set[str]:
        return {item.key for item in self.snapshotter.all()}

    def check(self) -> None:
        """Every image is whole, and nothing is there that none of them needs."""
        store = ImageStore(self.database)
        for record in store.all():
            for digest in (record.manifest_digest, record.id, *(layer.blob_digest for layer in record.layers)):
                assert self.content.has(digest), f"{record.id} lacks {digest}"  # type: ignore[arg-type]
            for layer in record.layers:
                assert self.snapshotter.has(layer.chain_id)
        assert self.blobs() == store.blobs()
        assert self.layers() == store.chain_ids()

    def file(self, image: Image, path: str) -> bytes:
        """A file of the image's merged tree."""
        import os

        assert image.chain_id is not None
        with self.snapshotter.mounted(image.chain_id, readonly=True) as root:
            fd = os.open(path, os.O_RDONLY, dir_fd=root)
            with open(fd, "rb") as file:
                return file.read()


def make_service(root: Path, **changes: Any) -> Service:
    changes = {"data_root": str(root), "run_root": str(root / "run"), **changes}
    settings = Settings(**changes)
    root.mkdir(exist_ok=True)
    database = Database(str(root / "wherry.db"), MIGRATIONS)
    content = LocalContentStore(str(root / "content"))
    snapshotter = OverlaySnapshotter(str(root))
    Service.__new__(Service)
    events: list[tuple[str, str, str, dict[str, str]]] = []
    uses: dict[str, list[ContainerUse]] = {}

    def using(image_id: ImageId) -> list[ContainerUse]:
        return uses.get(image_id, [])

    images = Images(
        settings,
        database,
        content,
        snapshotter,
        lambda *event: events.append(event),
        containers_using=using,
        registry=RegistryClient(settings, timeouts=Timeouts(connect=2.0, stall=1.0), retry=QUICK),
    )
    return Service(images, settings, content, snapshotter, database, events, [], uses)


def close_service(service: Service) -> None:
    service.images.close()
    service.snapshotter.close()
    service.database.close()
    leftover = [t.name for t in threading.enumerate() if t.name.startswith("download-")]
    for thread in threading.enumerate():
        if thread.name in leftover:
            thread.join(5)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = make_service(tmp_path / "data")
    yield made
    close_service(made)


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with FakeRegistry() as fake:
        yield fake

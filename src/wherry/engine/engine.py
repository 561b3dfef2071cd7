"""The composition root: builds every service of one data root, in the order in which they need each other.

<data_root>/engine.lock    flock, held as long as the process lives: one engine a data root (R10)
<data_root>/wherry.db      see metadata/database.py
<data_root>/events/        see events/journal.py
"""

import os

from wherry.containers import start as start_verb
from wherry.containers import store as container_store
from wherry.containers.container import Container
from wherry.containers.endings import Endings
from wherry.containers.exec_store import ExecStore
from wherry.containers.services import Services
from wherry.containers.store import Registry
from wherry.content.local import LocalContentStore
from wherry.engine.idle import Idle
from wherry.engine.workers import Workers
from wherry.errors import Conflict, NotModified, System, WherryError
from wherry.events.bus import EventBus
from wherry.events.journal import Journal
from wherry.images import store as image_store
from wherry.images.image import ContainerUse, ImageId
from wherry.images.service import Images
from wherry.linux.filesystem import lock_exclusive
from wherry.log import get_logger
from wherry.metadata.database import Database
from wherry.monitor.client import Dispatcher, Zygote
from wherry.network import store as network_store
from wherry.network.controller import NetworkController
from wherry.settings import Settings
from wherry.snapshots.overlay import OverlaySnapshotter
from wherry.volumes import store as volume_store
from wherry.volumes.store import Volumes

_logger = get_logger(__name__)

_ENDINGS_SECONDS = 2.0

MIGRATIONS = (
    *image_store.MIGRATIONS,
    *network_store.MIGRATIONS,
    *volume_store.MIGRATIONS,
    *container_store.MIGRATIONS,
)


class EngineRunning(Conflict):
    """Another engine has this data root."""


class Engine:
    """Everything that the API works on. ``zygote`` and ``dispatcher`` belong to the caller."""

    def __init__(self, settings: Settings, *, zygote: Zygote, dispatcher: Dispatcher, lock_fd: int) -> None:
        self.settings = settings
        self.dispatcher = dispatcher
        self.lock_fd = lock_fd
        self.events = EventBus(
            Journal(
                f"{settings.data_root}/events",
                max_size_bytes=settings.events_max_size_bytes,
                max_age_seconds=settings.events_max_age_seconds,
            )
        )
        self.idle = Idle(settings.idle_timeout_seconds)
        self.workers = Workers()
        self.database = Database(f"{settings.data_root}/wherry.db", MIGRATIONS)
        self.snapshotter = OverlaySnapshotter(settings.data_root)
        self.content = LocalContentStore(f"{settings.data_root}/content")
        self.images = Images(
            settings,
            self.database,
            self.content,
            self.snapshotter,
            self.events.publish,
            containers_using=self._containers_using,
        )
        self.volumes = Volumes(settings, self.database, self.events)
        self.networks = NetworkController(settings, self.database, self.events.publish)
        self.containers = Registry(self.database)
        self.services = Services(
            settings=settings,
            database=self.database,
            images=self.images,
            snapshotter=self.snapshotter,
            networks=self.networks,
            volumes=self.volumes,
            zygote=zygote,
            events=self.events,
            containers=self.containers,
            execs=ExecStore(),
            endings=Endings(),
            background=self.workers.run,
            restart_later=self._restart_later,
        )

    def _containers_using(self, image_id: ImageId) -> list[ContainerUse]:
        return [
            ContainerUse(container.id, container.name, container.running)
            for container in self.containers.all()
            if container.record.image_id == image_id
        ]

    def _restart_later(self, container: Container) -> None:
        def restart() -> None:
            with container.verb:
                if container.removed:
                    return
                try:
                    start_verb.start_locked(self.services, container)
                except NotModified:
                    pass  # somebody was quicker
                except WherryError as exc:
                    _logger.warning("restart container %s: %s", container.id[:12], exc)

        self.workers.run(restart)

    def close(self) -> None:
        """Finish background work and give host resources back that no container needs. Containers live on."""
        self.services.endings.wait(self.services.endings.pending(), _ENDINGS_SECONDS)
        self.workers.close()
        self.networks.stop_if_unused()
        self.images.close()
        self.snapshotter.close()
        self.database.close()
        self.events.close()


def lock_data_root(settings: Settings) -> int:
    """Make the data root (0700: S32) and take its lock; EngineRunning when another engine has it."""
    try:
        os.makedirs(settings.data_root, mode=0o700, exist_ok=True)
        os.makedirs(settings.run_root, mode=0o711, exist_ok=True)
        for part in ("containers", "containers/.trash"):
            os.makedirs(f"{settings.data_root}/{part}", mode=0o700, exist_ok=True)
        os.makedirs(f"{settings.run_root}/containers", mode=0o700, exist_ok=True)
        os.chmod(settings.data_root, 0o700)
        fd = os.open(f"{settings.data_root}/engine.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as exc:
        raise System(f"open data root {settings.data_root}: {exc.strerror}") from exc
    try:
        lock_exclusive(fd, blocking=False)
    except BlockingIOError as exc:
        os.close(fd)
        raise EngineRunning(
            f"open data root {settings.data_root}: another engine is using it",
            hint="Stop the other engine, or set WHERRY_DATA_ROOT.",
        ) from exc
    return fd

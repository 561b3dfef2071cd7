"""What the verbs work with: one object, built once by the engine."""

from collections.abc import Callable
from dataclasses import dataclass

from wherry.containers.container import Container
from wherry.containers.endings import Endings
from wherry.containers.exec_store import ExecStore
from wherry.containers.store import Registry
from wherry.events.bus import EventBus
from wherry.images.service import Images
from wherry.metadata.database import Database
from wherry.monitor.client import Zygote
from wherry.network.controller import NetworkController
from wherry.settings import Settings
from wherry.snapshots.snapshotter import Snapshotter
from wherry.volumes.store import Volumes


@dataclass(frozen=True, slots=True)
class Services:
    """The services below ``containers/`` and the registries of it."""

    settings: Settings
    database: Database
    images: Images
    snapshotter: Snapshotter
    networks: NetworkController
    volumes: Volumes
    zygote: Zygote
    events: EventBus
    containers: Registry
    execs: ExecStore
    endings: Endings
    background: Callable[[Callable[[], None]], None]
    """Runs a call soon on a worker thread; what it raises is logged."""
    restart_later: Callable[[Container], None]
    """Starts a container by its restart policy when nobody else does (its monitor died, the machine rebooted)."""

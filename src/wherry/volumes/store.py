"""Volumes by name: the rows, the directories behind them, who uses them.

    table volumes(name, created_ns, document, owner)     document: ``Volume`` as JSON
    <data_root>/volumes/<name>/_data              see local.py

Write order: directory, then row; delete: rename into the trash, then the row, then the sweep (R41). So a row without
a directory is a removal that a crash cut, an empty directory without a row a creation; both are finished at the
start. A directory with content and without a row is nobody's doing but a lost database: it is left alone.
``owner``: the container that an anonymous volume was made for and goes with. A volume whose owner has no row was left
by a crash in the midst of a creation or a removal.
Lock: ``_locks`` by volume name (rank 2 of metadata/locks.py).
"""

import secrets
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager

import msgspec

from wherry.errors import Conflict, InvalidParameter, NotFound
from wherry.events.bus import EventBus
from wherry.log import get_logger
from wherry.metadata.database import Database, Migration
from wherry.metadata.locks import KeyedLocks
from wherry.settings import Settings
from wherry.volumes.copy_up import is_empty, open_directory
from wherry.volumes.local import DRIVER, LocalDriver
from wherry.volumes.local_options import check_options
from wherry.volumes.mount_spec import check_volume_name

_logger = get_logger(__name__)

MIGRATIONS = (
    Migration(
        "volumes",
        1,
        "CREATE TABLE volumes (name TEXT PRIMARY KEY, created_ns INTEGER NOT NULL, document BLOB NOT NULL);",
    ),
    Migration("volumes", 2, "ALTER TABLE volumes ADD COLUMN owner TEXT NOT NULL DEFAULT '';"),
)

_logger = get_logger(__name__)

ANONYMOUS_LABEL = "com.docker.volume.anonymous"


class NoSuchVolume(NotFound):
    """Docker's wording."""

    def __init__(self, name: str) -> None:
        super().__init__(f"get {name}: no such volume")


class Volume(msgspec.Struct, frozen=True):
    """One volume. ``mountpoint`` is the directory that containers see."""

    name: str
    mountpoint: str
    created_ns: int
    labels: dict[str, str] | None = None
    options: dict[str, str] | None = None
    anonymous: bool = False


class Volumes:
    """All volumes of an engine; thread-safe."""

    def __init__(self, settings: Settings, database: Database, events: EventBus) -> None:
        self._database = database
        self._events = events
        self._locks = KeyedLocks()
        self._users_lock = threading.Lock()
        self._users: dict[str, set[str]] = {}
        self._mounted: dict[str, set[str]] = {}
        self.driver = LocalDriver(settings.data_root)
        self._cut_removals = self.driver.leftovers()
        self._finish_what_was_cut()

    def _finish_what_was_cut(self) -> None:
        rows = {row["name"] for row in self._database.read().execute("SELECT name FROM volumes")}
        directories = self.driver.names()
        for name in directories - rows:
            if not self.driver.remove_empty(name):
                _logger.warning("volume directory %s has content and is not in the database: left alone", name)
        if rows - directories:
            with self._database.write() as connection:
                connection.executemany("DELETE FROM volumes WHERE name = ?", [(n,) for n in rows - directories])

    def sweep_trash(self) -> None:
        """Delete what removals that a crash cut had discarded."""
        while self._cut_removals:
            self._sweep(self._cut_removals.pop())

    def create(
        self,
        name: str = "",
        driver: str = "",
        labels: Mapping[str, str] | None = None,
        options: Mapping[str, str] | None = None,
        *,
        anonymous: bool = False,
        user: str = "",
    ) -> Volume:
        """The volume of that name, made when it is missing (an existing one must agree in its options).

        An empty name makes an anonymous volume. ``user`` is a container id that uses it from now on, so that no
        ``prune`` comes between; an anonymous volume is swept after a crash that leaves no row of that container.
        """
        if driver not in ("", DRIVER):
            raise NotFound(f'error looking up volume plugin {driver}: plugin "{driver}" not found')
        if not name:
            name, anonymous = secrets.token_hex(32), True
        check_volume_name(name)
        check_options(name, options or {})
        with self._locks.hold(name):
            found = self._find(name)
            if found is not None:
                if options and (found.options or {}) != dict(options):
                    raise Conflict(f"create {name}: volume {name} already exists with different options")
                if user:
                    self.use(name, user)
                return found
            if anonymous:
                labels = {ANONYMOUS_LABEL: "", **(labels or {})}
            volume = Volume(
                name=name,
                mountpoint=self.driver.create(name),
                created_ns=time.time_ns(),
                labels=dict(labels) if labels else None,
                options=dict(options) if options is not None else None,
                anonymous=anonymous,
            )
            try:
                with self._database.write() as connection:
                    connection.execute(
                        "INSERT INTO volumes (name, created_ns, document, owner) VALUES (?, ?, ?, ?)",
                        (name, volume.created_ns, msgspec.json.encode(volume), user if anonymous else ""),
                    )
            except BaseException:
                self.driver.remove_empty(name)  # data that a crash left is kept
                raise
            if user:
                self.use(name, user)
        self._events.publish("volume", "create", name, {"driver": DRIVER})
        return volume

    def get(self, name: str) -> Volume:
        """The volume, or NoSuchVolume."""
        found = self._find(name)
        if found is None:
            raise NoSuchVolume(name)
        return found

    def all(self) -> list[Volume]:
        """Every volume by name."""
        rows = self._database.read().execute("SELECT document FROM volumes ORDER BY name").fetchall()
        return [msgspec.json.decode(row["document"], type=Volume) for row in rows]

    def use(self, name: str, container_id: str) -> None:
        """Count a container as user of a volume: it cannot be removed while one is left."""
        with self._users_lock:
            self._users.setdefault(name, set()).add(container_id)

    def release(self, name: str, container_id: str) -> None:
        """The container does not use the volume any more. Idempotent."""
        with self._users_lock:
            users = self._users.get(name, set())
            users.discard(container_id)
            if not users:
                self._users.pop(name, None)

    def keep(self, name: str) -> None:
        """The volume outlives the container that it was made for; durable on return."""
        with self._database.write() as connection:
            connection.execute("UPDATE volumes SET owner = '' WHERE name = ?", (name,))

    def orphans(self, containers: Collection[str]) -> list[str]:
        """Names of the anonymous volumes that were made for none of these containers and are not to be kept."""
        rows = self._database.read().execute("SELECT name, owner FROM volumes WHERE owner != ''").fetchall()
        return [row["name"] for row in rows if row["owner"] not in containers]

    def mount(self, name: str, container_id: str) -> None:
        """A container that starts needs the volume's content: mount it if its options ask for a mount."""
        volume = self.get(name)
        if not (volume.options or {}).get("type"):
            return
        with self._locks.hold(name):
            self.driver.mount(name, volume.options or {})
            with self._users_lock:
                self._mounted.setdefault(name, set()).add(container_id)

    def fill(self, name: str, container_id: str, write: Callable[[int], bool]) -> None:
        """Let ``write`` put the first content into a volume that is empty, for a container that is being made.

        A plain volume of one user is filled as a whole or not at all, so that a crash leaves it empty for the next
        one. Into one that others see already, or that is a mount, the content is written as it comes.
        """
        with self._mounted_for(name, container_id) as volume, self._locks.hold(name):
            with open_directory(volume.mountpoint) as fd:
                if not is_empty(fd):
                    return
                if (volume.options or {}).get("type") or self.users(name) != [container_id]:
                    write(fd)
                    return
            self.driver.fill(name, write, durable=not volume.anonymous)

    @contextmanager
    def _mounted_for(self, name: str, container_id: str) -> Iterator[Volume]:
        self.mount(name, container_id)
        try:
            yield self.get(name)
        finally:
            self.unmount(name, container_id)

    def unmount(self, name: str, container_id: str) -> None:
        """The container ended; the last one takes the mount away. Idempotent."""
        with self._users_lock:
            holders = self._mounted.get(name)
            if holders is None:
                return
            holders.discard(container_id)
            last = not holders
        if last:
            with self._locks.hold(name):
                with self._users_lock:
                    if self._mounted.get(name):
                        return  # another one started meanwhile
                    self._mounted.pop(name, None)
                self.driver.unmount(name)

    def unmount_unused(self) -> None:
        """After a start and its adoptions: take mounts away that a crash left."""
        for volume in self.all():
            if (volume.options or {}).get("type") and not self._mounted.get(volume.name):
                self.driver.unmount(volume.name)

    def adopt_mount(self, name: str, container_id: str) -> None:
        """A container that was found running holds the volume's mount."""
        with self._users_lock:
            self._mounted.setdefault(name, set()).add(container_id)

    def users(self, name: str) -> list[str]:
        """Ids of the containers that use the volume."""
        with self._users_lock:
            return sorted(self._users.get(name, ()))

    def remove(self, name: str, *, force: bool = False) -> int:
        """Delete a volume that nobody uses; the number of bytes freed is not measured (see ``prune``).

        Raises NoSuchVolume (not with ``force``) and Conflict when it is in use.
        """
        with self._locks.hold(name):
            if self._find(name) is None:
                if force:
                    return 0
                raise NoSuchVolume(name)
            users = self.users(name)
            if users:
                raise Conflict(f"remove {name}: volume is in use - [{', '.join(users)}]")
            discarded = self.driver.discard(name)
            try:
                with self._database.write() as connection:
                    connection.execute("DELETE FROM volumes WHERE name = ?", (name,))
            except BaseException:
                if discarded is not None:
                    self.driver.bring_back(name, discarded)
                raise
        if discarded is not None:
            self._sweep(discarded)
        self._events.publish("volume", "destroy", name, {"driver": DRIVER})
        return 0

    def _sweep(self, path: str) -> None:
        """The volume is gone already; what cannot be deleted (an immutable file) is tried again at the next start."""
        try:
            self.driver.sweep(path)
        except OSError as exc:
            _logger.warning("delete %s: %s", path, exc.strerror)

    def prune(self, filters: Mapping[str, Sequence[str]]) -> dict[str, object]:
        """Remove unused anonymous volumes (every unused one with the filter ``all=true``)."""
        every = any(value.lower() in ("1", "true") for value in filters.get("all", ()))
        deleted, reclaimed = [], 0
        for volume in self.all():
            if not (volume.anonymous or every) or self.users(volume.name) or not _labels_match(volume, filters):
                continue
            size = self.driver.size_bytes(volume.name)
            try:
                self.remove(volume.name)
            except (Conflict, NotFound):
                continue  # taken into use, or removed by somebody else, since the listing
            deleted.append(volume.name)
            reclaimed += size
        self._events.publish("volume", "prune", "", {"reclaimed": str(reclaimed)})
        return {"VolumesDeleted": deleted, "SpaceReclaimed": reclaimed}

    def _find(self, name: str) -> Volume | None:
        row = self._database.read().execute("SELECT document FROM volumes WHERE name = ?", (name,)).fetchone()
        return msgspec.json.decode(row["document"], type=Volume) if row is not None else None


def _labels_match(volume: Volume, filters: Mapping[str, Sequence[str]]) -> bool:
    labels = volume.labels or {}

    def has(wanted: str) -> bool:
        key, separator, value = wanted.partition("=")
        return key in labels and (not separator or labels[key] == value)

    unknown = set(filters) - {"label", "label!", "all"}
    if unknown:
        raise InvalidParameter(f"invalid filter '{sorted(unknown)[0]}'")
    return all(has(w) for w in filters.get("label", ())) and not any(has(w) for w in filters.get("label!", ()))

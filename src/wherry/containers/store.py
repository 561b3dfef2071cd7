"""All containers: one row each in the database, the same in memory, looked up by id, name or id prefix.

    table containers(id, name, document)     document: ``Record`` as JSON; the engine is its only writer

The memory is the truth for readers (``ps`` does no I/O); every durable change goes through ``save``.
Lock: ``Registry._lock`` guards the maps (rank 4 of metadata/locks.py).
"""

import threading

import msgspec

from wherry.containers.container import Container, Record
from wherry.containers.link_spec import split_link
from wherry.errors import Conflict, InvalidParameter, NotFound
from wherry.metadata.database import Database, Migration

MIGRATIONS = (
    Migration(
        "containers",
        1,
        "CREATE TABLE containers (id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, document BLOB NOT NULL);",
    ),
)

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Record)


class NoSuchContainer(NotFound):
    """Docker's wording; docker-py turns it into NotFound by it."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"No such container: {reference}")


class Registry:
    """Every container of the engine. All methods are thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._by_id: dict[str, Container] = {}
        self._id_by_name: dict[str, str] = {}

    def load(self) -> list[Container]:
        """Read every row into memory; once, at start."""
        rows = self._database.read().execute("SELECT document FROM containers").fetchall()
        loaded = [Container(_decoder.decode(row["document"])) for row in rows]
        with self._lock:
            for container in loaded:
                self._by_id[container.id] = container
                self._id_by_name[container.name] = container.id
        return loaded

    def all(self) -> list[Container]:
        """A snapshot of all containers, newest first."""
        with self._lock:
            containers = list(self._by_id.values())
        containers.sort(key=lambda container: container.record.created_ns, reverse=True)
        return containers

    def get(self, reference: str) -> Container:
        """By full id, then name or link (``container/alias``), then unique id prefix.

        NoSuchContainer, or InvalidParameter when ambiguous.
        """
        with self._lock:
            found = self._by_id.get(reference)
            if found is None:
                found = self._by_id.get(self._id_by_name.get(self._target(reference.removeprefix("/")), ""))
            if found is not None:
                return found
            matches = [c for i, c in self._by_id.items() if i.startswith(reference)] if reference else []
        if not matches:
            raise NoSuchContainer(reference)
        if len(matches) > 1:
            raise InvalidParameter(f"multiple IDs found with provided prefix: {reference}")
        return matches[0]

    def _target(self, name: str) -> str:
        """The name itself, or of a link the name of the container that it leads to."""
        parent_name, separator, alias = name.partition("/")
        parent = self._by_id.get(self._id_by_name.get(parent_name, "")) if separator else None
        links = parent.record.host_config.links or () if parent is not None else ()
        return next((target for target, known in map(split_link, links) if known == alias), name)

    def by_name(self, name: str) -> Container | None:
        """The container of exactly this name."""
        with self._lock:
            return self._by_id.get(self._id_by_name.get(name, ""))

    def reserve_name(self, name: str, container_id: str) -> None:
        """Hold ``name`` for ``container_id`` until it is added, or ``release_name``. Conflict when it is taken."""
        with self._lock:
            holder = self._id_by_name.get(name)
            if holder is not None:
                raise Conflict(
                    f'Conflict. The container name "/{name}" is already in use by container "{holder}". '
                    "You have to remove (or rename) that container to be able to reuse that name."
                )
            self._id_by_name[name] = container_id

    def release_name(self, name: str) -> None:
        """Give a reserved name back."""
        with self._lock:
            del self._id_by_name[name]

    def add(self, container: Container) -> None:
        """Insert a new container whose name is reserved; durable on return."""
        with self._database.write() as connection:
            connection.execute(
                "INSERT INTO containers VALUES (?, ?, ?)",
                (container.id, container.name, _encoder.encode(container.record)),
            )
        with self._lock:
            self._by_id[container.id] = container

    def save(self, container: Container) -> None:
        """Write the container's record; durable on return. A removed container is left alone."""
        with container.lock:
            document = _encoder.encode(container.record)
            with self._database.write() as connection:
                connection.execute(
                    "UPDATE containers SET name = ?, document = ? WHERE id = ?",
                    (container.name, document, container.id),
                )

    def rename(self, container: Container, new_name: str) -> None:
        """Give the container a name that was reserved for it, and free the old one; durable on return."""
        with container.lock:
            old_name = container.record.name
            container.record.name = new_name
            try:
                self.save(container)
            except BaseException:
                container.record.name = old_name
                raise
        with self._lock:
            if self._id_by_name.get(old_name) == container.id:
                del self._id_by_name[old_name]

    def delete(self, container: Container) -> None:
        """Forget the container and free its name; durable on return."""
        with self._database.write() as connection:
            connection.execute("DELETE FROM containers WHERE id = ?", (container.id,))
        with self._lock:
            self._by_id.pop(container.id, None)
            if self._id_by_name.get(container.name) == container.id:
                del self._id_by_name[container.name]

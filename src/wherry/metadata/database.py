"""The engine's SQLite database: one writer process, WAL, ``synchronous=FULL`` (durable on reply; R03, R10).

    <data_root>/wherry.db      this database
    <data_root>/engine.lock    flock held by the engine process as long as the database is open

Each domain owns its tables and lists its migrations beside them (``images/store.py`` and so on); the engine
hands all of them to ``Database``. Readers use a connection per thread; writers take one lock, so that a
``with database.write()`` block is one transaction and the only one.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from wherry.errors import System


@dataclass(frozen=True, slots=True)
class Migration:
    """One schema step of one component. Steps run in list order, each once, all in one transaction."""

    component: str
    version: int
    sql: str


class DatabaseFull(System):
    """The disk has no room for the transaction; nothing of it was written (R06)."""


class SchemaTooNew(System):
    """The database was written by a later wherry."""


def _keep_private(path: str) -> None:
    """Mode 0600 whatever directory it is in: the rows have the containers' variables. SQLite makes the files beside
    it with the database's mode; those of an earlier engine that are there already are given it."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    for name in (path, f"{path}-wal", f"{path}-shm"):
        try:
            os.chmod(name, 0o600)
        except FileNotFoundError:
            pass  # SQLite makes it when it is needed


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:  # SQLite rolls some failures back by itself
        connection.execute("ROLLBACK")


class Database:
    """Thread-safe access to one database file. Rows come back as ``sqlite3.Row``."""

    def __init__(self, path: str, migrations: Sequence[Migration]) -> None:
        self._path = path
        _keep_private(path)
        self._local = threading.local()
        self._write_lock = threading.RLock()
        self._connections: list[sqlite3.Connection] = []
        self._connections_lock = threading.Lock()
        self._migrate(migrations)

    def _connect(self) -> sqlite3.Connection:
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            connection.execute("PRAGMA busy_timeout=10000")
            self._local.connection = connection
            with self._connections_lock:
                self._connections.append(connection)
        return connection

    def read(self) -> sqlite3.Connection:
        """This thread's connection, for SELECTs only."""
        return self._connect()

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed and durable when the block ends, rolled back when it or the commit fails.

        Re-entrant: an inner block joins the outer transaction. Raises DatabaseFull.
        """
        with self._write_lock:
            connection = self._connect()
            if connection.in_transaction:
                yield connection
                return
            with self._telling_of_a_full_disk():
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                    connection.execute("COMMIT")
                except BaseException:
                    _roll_back(connection)
                    raise

    @contextmanager
    def _telling_of_a_full_disk(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode != sqlite3.SQLITE_FULL:
                raise
            raise DatabaseFull(
                f"write {self._path}: No space left on device",
                hint="Free space on that disk: remove containers and images that you do not need.",
            ) from exc

    def release_thread(self) -> None:
        """Close the calling thread's connection; a connection thread calls it before it ends."""
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is None:
            return
        del self._local.connection
        with self._connections_lock:
            self._connections.remove(connection)
        connection.close()

    def close(self) -> None:
        """Close every thread's connection."""
        with self._connections_lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            connection.close()

    def _migrate(self, migrations: Sequence[Migration]) -> None:
        known: dict[str, int] = {}
        for migration in migrations:
            known[migration.component] = max(known.get(migration.component, 0), migration.version)
        with self.write() as connection:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL)"
            )
            found = {
                row["component"]: int(row["version"])
                for row in connection.execute("SELECT component, version FROM schema_versions")
            }
            for component, version in found.items():
                if version > known.get(component, 0):
                    raise SchemaTooNew(
                        f"open database {self._path}: {component} schema is version {version}, "
                        f"this wherry knows {known.get(component, 0)}",
                        hint="Upgrade wherry, or give it another data root with WHERRY_DATA_ROOT.",
                    )
            for migration in migrations:
                if migration.version > found.get(migration.component, 0):
                    for statement in _statements(migration.sql):
                        connection.execute(statement)
                    connection.execute(
                        "INSERT INTO schema_versions VALUES (?, ?) "
                        "ON CONFLICT (component) DO UPDATE SET version = excluded.version",
                        (migration.component, migration.version),
                    )


def _statements(sql: str) -> Iterator[str]:
    # executescript() commits the open transaction, so statements run one by one.
    pending = ""
    for line in sql.splitlines(keepends=True):
        pending += line
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
    if pending.strip():
        yield pending

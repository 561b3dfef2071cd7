"""Network records. The three predefined networks get their random ids the first time and keep them.

table networks(id, name, driver, created, document)     document: ``NetworkConfig`` as JSON
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from wherry.metadata.database import Database, Migration

MIGRATIONS = (
    Migration(
        "network",
        1,
        """
        CREATE TABLE networks (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL UNIQUE,
            driver TEXT NOT NULL,
            created TEXT NOT NULL
        );
        """,
    ),
    Migration("network", 2, "ALTER TABLE networks ADD COLUMN document BLOB NOT NULL DEFAULT '{}';"),
)

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}


class NetworkConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """What makes a user-defined network what it is. ``chosen_subnet``: the user named it, so static addresses are
    allowed."""

    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    auxiliary: dict[str, str] = {}
    chosen_subnet: bool = False
    internal: bool = False
    attachable: bool = False
    options: dict[str, str] = {}
    labels: dict[str, str] = {}
    ipam_options: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """One network: id of 64 hex digits, name, driver, time of creation (RFC 3339, UTC)."""

    id: str
    name: str
    driver: str
    created: str
    config: NetworkConfig

    @property
    def predefined(self) -> bool:
        """Whether it is one of the three that cannot be removed."""
        return self.name in PREDEFINED


def new_record(name: str, driver: str, config: NetworkConfig) -> NetworkRecord:
    """A record with a fresh id, created now; nothing is stored."""
    created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    return NetworkRecord(secrets.token_hex(32), name, driver, created, config)


def load_networks(database: Database) -> dict[str, NetworkRecord]:
    """All networks by name; the predefined ones are made when missing."""
    select = "SELECT id, name, driver, created, document FROM networks ORDER BY name"
    decoder = msgspec.json.Decoder(NetworkConfig)
    found = {
        row["name"]: NetworkRecord(
            row["id"], row["name"], row["driver"], row["created"], decoder.decode(row["document"])
        )
        for row in database.read().execute(select).fetchall()
    }
    for name, driver in PREDEFINED.items():
        if name not in found:
            found[name] = new_record(name, driver, NetworkConfig())
            insert_network(database, found[name])
    return found


def insert_network(database: Database, record: NetworkRecord) -> None:
    """Durable on return."""
    with database.write() as connection:
        connection.execute(
            "INSERT INTO networks VALUES (?, ?, ?, ?, ?)",
            (record.id, record.name, record.driver, record.created, msgspec.json.encode(record.config)),
        )


def delete_network(database: Database, record: NetworkRecord) -> None:
    """Durable on return."""
    with database.write() as connection:
        connection.execute("DELETE FROM networks WHERE id = ?", (record.id,))

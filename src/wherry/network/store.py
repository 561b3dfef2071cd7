"""Network records. The three predefined networks get their random ids the first time and keep them."""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime

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
)

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """One network: id of 64 hex digits, name, driver, time of creation (RFC 3339, UTC)."""

    id: str
    name: str
    driver: str
    created: str


def load_networks(database: Database) -> dict[str, NetworkRecord]:
    """All networks by name; the predefined ones are made when missing."""
    select = "SELECT id, name, driver, created FROM networks ORDER BY name"
    rows = database.read().execute(select).fetchall()
    found = {row["name"]: NetworkRecord(*row) for row in rows}
    missing = [name for name in PREDEFINED if name not in found]
    if missing:
        with database.write() as connection:
            for name in missing:
                created = datetime.now(UTC).isoformat().replace("+00:00", "Z")
                record = NetworkRecord(secrets.token_hex(32), name, PREDEFINED[name], created)
                connection.execute(
                    "INSERT INTO networks VALUES (?, ?, ?, ?)",
                    (record.id, record.name, record.driver, record.created),
                )
                found[name] = record
    return found

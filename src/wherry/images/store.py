"""Which images there are, and their names. The database's rows are written last and deleted first.

An image is its config's digest. Its row says which manifest describes the blobs as they lie in the content
store; ``image_layers`` keeps, per layer, the blob that holds it, so that an image that shares a layer with
another one needs no second copy, whatever its compression.
"""

import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from wherry.images.image import ImageId, ImageNotFound
from wherry.metadata.database import Database, Migration
from wherry.oci.digest import DiffId, Digest
from wherry.snapshots.chain_id import ChainId

MIGRATIONS: Final = (
    Migration(
        "images",
        1,
        """
        CREATE TABLE images (
            id TEXT PRIMARY KEY,
            manifest_digest TEXT NOT NULL,
            manifest_media_type TEXT NOT NULL,
            size_bytes INTEGER NOT NULL,
            added_at REAL NOT NULL,
            parent_id TEXT NOT NULL DEFAULT ''
        );
        CREATE TABLE image_layers (
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            position INTEGER NOT NULL,
            diff_id TEXT NOT NULL,
            chain_id TEXT NOT NULL,
            blob_digest TEXT NOT NULL,
            blob_media_type TEXT NOT NULL,
            blob_size INTEGER NOT NULL,
            PRIMARY KEY (image_id, position)
        );
        CREATE INDEX image_layers_chain_id ON image_layers (chain_id);
        CREATE TABLE image_tags (
            repository TEXT NOT NULL,
            tag TEXT NOT NULL,
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            tagged_at REAL NOT NULL,
            PRIMARY KEY (repository, tag)
        );
        CREATE INDEX image_tags_image_id ON image_tags (image_id);
        CREATE TABLE image_digests (
            repository TEXT NOT NULL,
            digest TEXT NOT NULL,
            image_id TEXT NOT NULL REFERENCES images (id) ON DELETE CASCADE,
            PRIMARY KEY (repository, digest, image_id)
        );
        CREATE INDEX image_digests_image_id ON image_digests (image_id);
        """,
    ),
    Migration(
        "images",
        2,
        """
        CREATE TABLE pushed_layers (
            diff_id TEXT NOT NULL,
            repository TEXT NOT NULL,
            blob_digest TEXT NOT NULL,
            blob_size INTEGER NOT NULL,
            PRIMARY KEY (diff_id, repository)
        );
        """,
    ),
)


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """One layer of an image, and the blob that holds it."""

    diff_id: DiffId
    chain_id: ChainId
    blob_digest: Digest
    blob_media_type: str
    blob_size: int


@dataclass(frozen=True, slots=True)
class PushedLayer:
    """The gzip blob as which a layer that is stored uncompressed was pushed to a repository."""

    repository: str
    blob_digest: Digest
    blob_size: int


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image's row and names."""

    id: ImageId
    manifest_digest: Digest
    manifest_media_type: str
    size_bytes: int
    added_at: float
    parent_id: str
    layers: tuple[LayerRecord, ...]
    tags: tuple[tuple[str, str], ...]
    """(repository, tag), sorted."""
    digests: tuple[tuple[str, Digest], ...]
    """(repository, digest), sorted."""
    tagged_at: float


class ImageStore:
    """Thread-safe through the database. A method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get(self, image_id: str) -> ImageRecord | None:
        """By full id."""
        found = self._records("WHERE id = ?", (image_id,))
        return found[0] if found else None

    def all(self) -> list[ImageRecord]:
        """Every image."""
        return self._records("", ())

    def by_prefix(self, hex_prefix: str, *, limit: int = 2) -> list[ImageId]:
        """Ids that begin with ``sha256:`` and these hex digits, at most ``limit``."""
        start = f"sha256:{hex_prefix}"
        rows = self._database.read().execute(
            "SELECT id FROM images WHERE id >= ? AND id < ? LIMIT ?", (start, start + "g", limit)
        )
        return [ImageId(row["id"]) for row in rows]

    def by_tag(self, repository: str, tag: str) -> ImageId | None:
        """The image that a tag names."""
        row = (
            self._database.read()
            .execute("SELECT image_id FROM image_tags WHERE repository = ? AND tag = ?", (repository, tag))
            .fetchone()
        )
        return ImageId(row["image_id"]) if row else None

    def by_digest(self, repository: str, digest: Digest) -> list[ImageId]:
        """The images that came as ``repository@digest``: several when it is an index pulled for two platforms."""
        rows = self._database.read().execute(
            "SELECT image_id FROM image_digests WHERE repository = ? AND digest = ? ORDER BY rowid DESC",
            (repository, digest),
        )
        return [ImageId(row["image_id"]) for row in rows]

    def layer_by_chain(self, chain_id: str) -> LayerRecord | None:
        """Any image's record of that layer on top of those parents."""
        row = (
            self._database.read()
            .execute("SELECT * FROM image_layers WHERE chain_id = ? LIMIT 1", (chain_id,))
            .fetchone()
        )
        return _layer(row) if row else None

    def chain_ids(self) -> set[str]:
        """Every chain that an image uses."""
        return {
            row["chain_id"] for row in self._database.read().execute("SELECT DISTINCT chain_id FROM image_layers")
        }

    def blobs(self) -> set[str]:
        """Every blob that an image needs."""
        rows = self._database.read().execute(
            "SELECT id AS digest FROM images UNION SELECT manifest_digest FROM images UNION "
            "SELECT blob_digest FROM image_layers UNION SELECT digest FROM image_digests"
        )
        return {row["digest"] for row in rows}

    def add(
        self, image_id: ImageId, manifest_digest: Digest, manifest_media_type: str, size_bytes: int,
        layers: Sequence[LayerRecord], *, parent_id: str = "",
        tags: Sequence[tuple[str, str]] = (), digests: Sequence[tuple[str, Digest]] = (),
    ) -> None:  # fmt: skip
        """Record an image whose blobs and snapshots are durable, and point the names at it.

        Idempotent. An image that is here already keeps its manifest, its layers and its time.
        """
        now = time.time()
        with self._database.write() as db:
            added = db.execute(
                "INSERT INTO images VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
                (image_id, manifest_digest, manifest_media_type, size_bytes, now, parent_id),
            ).rowcount
            if added:
                db.executemany(
                    "INSERT INTO image_layers VALUES (?, ?, ?, ?, ?, ?, ?)",
                    [
                        (image_id, i, x.diff_id, x.chain_id, x.blob_digest, x.blob_media_type, x.blob_size)
                        for i, x in enumerate(layers)
                    ],
                )
            for repository, tag in tags:
                self.tag(repository, tag, image_id)
            db.executemany(
                "INSERT INTO image_digests VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                [(repository, digest, image_id) for repository, digest in digests],
            )

    def tag(self, repository: str, tag: str, image_id: ImageId) -> None:
        """Point a tag at an image, away from another one if need be; raises ImageNotFound."""
        with self._database.write() as db:
            try:
                db.execute(
                    "INSERT INTO image_tags VALUES (?, ?, ?, ?) ON CONFLICT (repository, tag) DO UPDATE SET "
                    "image_id = excluded.image_id, tagged_at = excluded.tagged_at",
                    (repository, tag, image_id, time.time()),
                )
            except sqlite3.IntegrityError as exc:  # removed since it was resolved
                raise ImageNotFound(image_id) from exc

    def untag(self, repository: str, tag: str) -> bool:
        """Remove a tag; False when it was not there."""
        with self._database.write() as db:
            return (
                db.execute("DELETE FROM image_tags WHERE repository = ? AND tag = ?", (repository, tag)).rowcount > 0
            )

    def add_digest(self, repository: str, digest: Digest, image_id: ImageId) -> None:
        """Name an image ``repository@digest``; the manifest is durable. Raises ImageNotFound."""
        with self._database.write() as db:
            try:
                db.execute(
                    "INSERT INTO image_digests VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                    (repository, digest, image_id),
                )
            except sqlite3.IntegrityError as exc:  # removed while it was pushed
                raise ImageNotFound(image_id) from exc

    def forget_digest(self, repository: str, digest: Digest, image_id: ImageId) -> bool:
        """Remove a ``repository@digest`` name from one image; False when it was not there."""
        with self._database.write() as db:
            return (
                db.execute(
                    "DELETE FROM image_digests WHERE repository = ? AND digest = ? AND image_id = ?",
                    (repository, digest, image_id),
                ).rowcount
                > 0
            )

    def pushed(self, diff_id: DiffId) -> list[PushedLayer]:
        """Where a layer was pushed in a compressed form that is not stored here, the latest first."""
        rows = self._database.read().execute(
            "SELECT * FROM pushed_layers WHERE diff_id = ? ORDER BY rowid DESC", (diff_id,)
        )
        return [PushedLayer(row["repository"], Digest(row["blob_digest"]), row["blob_size"]) for row in rows]

    def note_pushed(self, diff_id: DiffId, pushed: PushedLayer) -> None:
        """Remember it for the next push, as long as an image has the layer. A hint: registries forget."""
        with self._database.write() as db:
            db.execute(
                "DELETE FROM pushed_layers WHERE (diff_id = ? AND repository = ?) "
                "OR diff_id NOT IN (SELECT diff_id FROM image_layers)",
                (diff_id, pushed.repository),
            )
            db.execute(
                "INSERT INTO pushed_layers VALUES (?, ?, ?, ?)",
                (diff_id, pushed.repository, pushed.blob_digest, pushed.blob_size),
            )

    def repositories_with(self, blob_digest: Digest) -> list[str]:
        """The repositories from which, or to which, an image with this layer blob came."""
        rows = self._database.read().execute(
            "SELECT DISTINCT repository FROM image_digests JOIN image_layers USING (image_id) WHERE blob_digest = ?1 "
            "UNION SELECT repository FROM pushed_layers WHERE blob_digest = ?1 ORDER BY repository",
            (blob_digest,),
        )
        return [row["repository"] for row in rows]

    def delete(self, image_id: ImageId) -> bool:
        """Remove an image that has no names; False when it has one (again). Blobs and layers are the collector's."""
        with self._database.write() as db:
            return (
                db.execute(
                    "DELETE FROM images WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM image_tags WHERE image_id = ?1) "
                    "AND NOT EXISTS (SELECT 1 FROM image_digests WHERE image_id = ?1)",
                    (image_id,),
                ).rowcount
                > 0
            )

    def _records(self, where: str, parameters: tuple[str, ...]) -> list[ImageRecord]:
        db = self._database.read()
        if not db.in_transaction:  # one moment for all four tables
            db.execute("BEGIN")
            try:
                return self._records(where, parameters)
            finally:
                db.execute("COMMIT")
        selected = f"SELECT id FROM images {where}"  # ``where`` is one of two literals
        layers: dict[str, list[LayerRecord]] = {}
        for row in db.execute(
            f"SELECT * FROM image_layers WHERE image_id IN ({selected}) ORDER BY position", parameters
        ):
            layers.setdefault(row["image_id"], []).append(_layer(row))
        tags: dict[str, list[tuple[str, str]]] = {}
        tagged: dict[str, float] = {}
        for row in db.execute(
            f"SELECT * FROM image_tags WHERE image_id IN ({selected}) ORDER BY repository, tag", parameters
        ):
            tags.setdefault(row["image_id"], []).append((row["repository"], row["tag"]))
            tagged[row["image_id"]] = max(tagged.get(row["image_id"], 0.0), row["tagged_at"])
        digests: dict[str, list[tuple[str, Digest]]] = {}
        for row in db.execute(
            f"SELECT * FROM image_digests WHERE image_id IN ({selected}) ORDER BY repository, digest", parameters
        ):
            digests.setdefault(row["image_id"], []).append((row["repository"], Digest(row["digest"])))
        return [
            ImageRecord(
                id=ImageId(row["id"]),
                manifest_digest=Digest(row["manifest_digest"]),
                manifest_media_type=row["manifest_media_type"],
                size_bytes=row["size_bytes"],
                added_at=row["added_at"],
                parent_id=row["parent_id"],
                layers=tuple(layers.get(row["id"], ())),
                tags=tuple(tags.get(row["id"], ())),
                digests=tuple(digests.get(row["id"], ())),
                tagged_at=tagged.get(row["id"], 0.0),
            )
            for row in db.execute(f"SELECT * FROM images {where}", parameters)
        ]


def _layer(row: sqlite3.Row) -> LayerRecord:
    return LayerRecord(
        DiffId(row["diff_id"]),
        ChainId(row["chain_id"]),
        Digest(row["blob_digest"]),
        row["blob_media_type"],
        row["blob_size"],
    )

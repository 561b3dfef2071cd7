"""The content store on a local file system.

    <root>/blobs/<algorithm>/<hex>      whole blobs, 0400, never changed
    <root>/ingest/<algorithm>-<hex>     partial downloads, kept for a resume
    <root>/ingest/new-<random>          blobs whose digest is not known yet

The engine is the only writer. In-process, ``_lock`` guards the set of open ingests.
"""

import os
import secrets
import threading
import time
from collections.abc import Iterator
from typing import BinaryIO

from wherry.content.errors import BlobNotFound, ContentMismatch, StorageFault
from wherry.content.ingest import Ingest
from wherry.content.leases import Leases
from wherry.errors import Conflict
from wherry.linux.filesystem import sync_directory
from wherry.oci.digest import Digest, Hasher, algorithm, digest_of, encoded, is_digest


class LocalContentStore:
    """See ``content.store.ContentStore`` for the contract."""

    def __init__(self, root: str) -> None:
        self.leases = Leases()
        self._blobs = os.path.join(root, "blobs")
        self._ingest = os.path.join(root, "ingest")
        self._lock = threading.Lock()
        self._open: set[str] = set()
        for directory in (root, self._blobs, self._ingest, self._directory("sha256"), self._directory("sha512")):
            os.makedirs(directory, mode=0o700, exist_ok=True)

    def has(self, digest: Digest) -> bool:
        """See the contract."""
        return os.path.exists(self._path(digest))

    def size(self, digest: Digest) -> int:
        """See the contract."""
        try:
            return os.stat(self._path(digest)).st_size
        except FileNotFoundError as exc:
            raise BlobNotFound(f"blob {digest} not found") from exc

    def open(self, digest: Digest) -> BinaryIO:
        """See the contract."""
        try:
            return open(self._path(digest), "rb", buffering=0)
        except FileNotFoundError as exc:
            raise BlobNotFound(f"blob {digest} not found") from exc

    def read(self, digest: Digest, *, limit_bytes: int = 4 << 20) -> bytes:
        """See the contract."""
        with self.open(digest) as file:
            if os.fstat(file.fileno()).st_size > limit_bytes:
                raise StorageFault(f"read blob {digest}: larger than {limit_bytes} bytes")
            data = b"".join(iter(lambda: file.read(1 << 20), b""))
        hasher = Hasher(algorithm(digest))
        hasher.update(data)
        if hasher.digest() != digest:
            raise StorageFault(f"read blob {digest}: stored content is corrupt", hint="Pull the image again.")
        return data

    def write(self, data: bytes, digest: Digest | None = None) -> Digest:
        """See the contract."""
        if digest is None:
            digest = digest_of(data)
        if self.has(digest):
            return digest
        with self._ingest_as(f"new-{secrets.token_hex(8)}", digest, len(data)) as ingest:
            ingest.write(data)
            return ingest.commit()

    def ingest(self, digest: Digest | None, size_bytes: int | None) -> Ingest:
        """See the contract. Raises Conflict when the digest is being written already."""
        name = f"{algorithm(digest)}-{encoded(digest)}" if digest is not None else f"new-{secrets.token_hex(8)}"
        return self._ingest_as(name, digest, size_bytes)

    def _ingest_as(self, name: str, digest: Digest | None, size_bytes: int | None) -> Ingest:
        with self._lock:
            if name in self._open:
                raise Conflict(f"blob {digest} is being written already")
            self._open.add(name)
        return Ingest(os.path.join(self._ingest, name), digest, size_bytes, self._publish, lambda: self._forget(name))

    def delete(self, digest: Digest) -> bool:
        """See the contract."""
        try:
            os.unlink(self._path(digest))
        except FileNotFoundError:
            return False
        return True

    def walk(self, *, older_than_seconds: float = 0.0) -> Iterator[tuple[Digest, int]]:
        """See the contract."""
        newest = time.time() - older_than_seconds if older_than_seconds else float("inf")
        for name in ("sha256", "sha512"):
            with os.scandir(self._directory(name)) as entries:
                for entry in entries:
                    if not is_digest(f"{name}:{entry.name}"):
                        continue
                    try:
                        status = entry.stat(follow_symlinks=False)
                    except FileNotFoundError:
                        continue  # deleted meanwhile
                    if status.st_mtime <= newest:
                        yield Digest(f"{name}:{entry.name}"), status.st_size

    def discard_partial(self, *, older_than_seconds: float) -> int:
        """See the contract."""
        freed, now = 0, time.time()
        with self._lock, os.scandir(self._ingest) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                resumable = not entry.name.startswith("new-")  # nobody can come back for a nameless one
                if entry.name in self._open or (resumable and now - status.st_mtime < older_than_seconds):
                    continue
                os.unlink(entry.path)
                freed += status.st_size
        return freed

    def _publish(self, path: str, digest: Digest) -> None:
        target = self._path(digest)
        try:
            os.chmod(path, 0o400)
            os.rename(path, target)
            sync_directory(os.path.dirname(target))
        except OSError:
            # The rename may have happened without being durable: then the blob must not count as stored.
            self.delete(digest)
            raise

    def _forget(self, name: str) -> None:
        with self._lock:
            self._open.discard(name)

    def _directory(self, name: str) -> str:
        return os.path.join(self._blobs, name)

    def _path(self, digest: Digest) -> str:
        if not is_digest(digest):
            raise ContentMismatch(f"invalid digest {digest[:100]!r}")
        return os.path.join(self._directory(algorithm(digest)), encoded(digest))

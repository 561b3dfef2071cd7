"""The content store's contract: immutable blobs by digest, the only place where downloaded bytes live.

*Durable* means that a power cut after the call returns cannot lose or change the blob.
"""

from collections.abc import Iterator
from typing import BinaryIO, Protocol

from wherry.content.ingest import Ingest
from wherry.content.leases import Leases
from wherry.oci.digest import Digest


class ContentStore(Protocol):
    """Thread-safe."""

    leases: Leases

    def has(self, digest: Digest) -> bool:
        """Whether the blob is here, whole."""

    def size(self, digest: Digest) -> int:
        """Bytes; raises BlobNotFound."""

    def open(self, digest: Digest) -> BinaryIO:
        """An unbuffered reader that the caller closes; raises BlobNotFound."""

    def read(self, digest: Digest, *, limit_bytes: int = 4 << 20) -> bytes:
        """A small blob whole, its digest checked again; raises BlobNotFound, StorageFault when corrupt."""

    def write(self, data: bytes, digest: Digest | None = None) -> Digest:
        """Store a small blob, durable on return. Idempotent. With ``digest`` the data must match it."""

    def ingest(self, digest: Digest | None, size_bytes: int | None) -> Ingest:
        """Begin, or resume, writing a blob. Unknown digest or size: None. One ingest per digest at a time."""

    def delete(self, digest: Digest) -> bool:
        """Remove a blob; False when it was not there."""

    def walk(self, *, older_than_seconds: float = 0.0) -> Iterator[tuple[Digest, int]]:
        """Every blob that came at least so long ago, and its size, in no order."""

    def discard_partial(self, *, older_than_seconds: float) -> int:
        """Delete suspended ingests that nobody came back for; the bytes freed. Never one that is open."""

"""Reading an image archive into the content store: one pass, names kept apart from files (S14, S15).

Nothing in an archive ever becomes a path on this machine. Each regular member is hashed into the content
store, and a table in memory says which blob its name stands for; whatever the archive's JSON then names is
looked up in that table. Links are refused, with one exception that old ``docker save`` archives need: a
``<id>/layer.tar`` that is a symbolic link to another member of the same archive, which is an alias in the
table.
"""

import posixpath
import stat
from dataclasses import dataclass, field
from typing import Final

from wherry.content.compression import ByteSource, DecompressedReader
from wherry.content.leases import Lease
from wherry.content.store import ContentStore
from wherry.errors import InvalidParameter
from wherry.oci.codec import MAX_DOCUMENT_BYTES
from wherry.oci.digest import Digest, encoded, is_digest
from wherry.snapshots.snapshotter import LayerRejected
from wherry.snapshots.tar_reader import HARDLINK, TarReader

_MAX_MEMBERS: Final = 16384
_MAX_ALIAS_HOPS: Final = 8


class InvalidArchive(InvalidParameter):
    """Not an image archive, or one that contradicts itself."""


@dataclass(slots=True)
class Archive:
    """The members of an archive, as blobs."""

    content: ContentStore
    members: dict[str, Digest] = field(default_factory=dict)
    aliases: dict[str, str] = field(default_factory=dict)

    def has(self, name: str) -> bool:
        """Whether there is a regular member of that name."""
        return self._find(name) is not None

    def digest(self, name: str) -> Digest:
        """The blob of a member; raises InvalidArchive."""
        found = self._find(name)
        if found is None:
            raise InvalidArchive(f"invalid archive: it has no regular file {name[:200]!r}")
        return found

    def document(self, name: str) -> bytes:
        """A small member whole; raises InvalidArchive."""
        digest = self.digest(name)
        if self.content.size(digest) > MAX_DOCUMENT_BYTES:
            raise InvalidArchive(f"invalid archive: {name[:200]!r} is larger than {MAX_DOCUMENT_BYTES} bytes")
        return self.content.read(digest)

    def blob(self, digest: Digest) -> Digest:
        """Check that an OCI layout has the blob, under a name that tells the truth."""
        name = f"blobs/{digest.partition(':')[0]}/{encoded(digest)}"
        if self.digest(name) != digest:
            raise InvalidArchive(f"invalid archive: {name} has another content")
        return digest

    def _find(self, name: str) -> Digest | None:
        for _ in range(_MAX_ALIAS_HOPS):
            if name in self.members:
                return self.members[name]
            if name not in self.aliases:
                return None
            name = self.aliases[name]
        return None


def read_archive(archive: Archive, stream: ByteSource, lease: Lease, *, max_bytes: int) -> None:
    """Fill an empty ``archive`` from a tar, compressed or not, read to its end. Raises what ``load`` does."""
    plain = DecompressedReader(stream)
    reader = TarReader(plain, max_entries=_MAX_MEMBERS)
    total = 0
    for entry in reader:
        name = entry.path.decode("utf-8", "surrogateescape")
        if name in archive.members or name in archive.aliases:
            raise InvalidArchive(f"invalid archive: two members are named {name[:200]!r}")
        if entry.file_type == stat.S_IFDIR:
            continue
        if entry.file_type == stat.S_IFLNK and posixpath.basename(name) == "layer.tar":
            archive.aliases[name] = _inside(name, entry.link)
            continue
        if entry.file_type != stat.S_IFREG or entry.sparse is not None:
            kind = "a link" if entry.file_type in (stat.S_IFLNK, HARDLINK) else "not a plain file"
            raise InvalidArchive(f"invalid archive: {name[:200]!r} is {kind}")
        total += entry.size
        if total > max_bytes:
            raise LayerRejected(f"the archive is larger than {max_bytes} bytes")
        archive.members[name] = _store(archive.content, reader, name, entry.size, lease)
    reader.drain()


def _store(content: ContentStore, reader: TarReader, name: str, size: int, lease: Lease) -> Digest:
    expected = None
    parts = name.split("/")
    if len(parts) == 3 and parts[0] == "blobs" and is_digest(f"{parts[1]}:{parts[2]}"):
        expected = Digest(f"{parts[1]}:{parts[2]}")
        lease.add(expected)
        if content.has(expected):
            return expected  # the reader passes over the data; the stored blob is the same by definition
    with content.ingest(None, size) as ingest:
        for chunk in reader.chunks():
            ingest.write(chunk)
        digest = ingest.verify()
        if expected is not None and digest != expected:
            raise InvalidArchive(f"invalid archive: {name} has another content")
        lease.add(digest)
        return ingest.commit()


def _inside(name: str, link: bytes) -> str:
    """The member that a link of ``<id>/layer.tar`` means; raises InvalidArchive when it leaves the archive."""
    target = posixpath.normpath(posixpath.join(posixpath.dirname(name), link.decode("utf-8", "surrogateescape")))
    if target.startswith(("/", "../")) or target == "..":
        raise InvalidArchive(f"invalid archive: {name[:200]!r} links out of the archive")
    return target

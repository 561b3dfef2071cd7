"""A strict streaming reader of tar: what GNU tar would list, or an error (S31).

It reads ustar, PAX (local and global headers), GNU long names, base-256 numbers and every sparse format of GNU tar.
Where known parsers disagree about a byte, the archive is refused instead of guessed at. Every amount that the
archive chooses (name length, depth, headers, attributes, extents, entries) has a bound (S19).

Names stay bytes: they need not be text. Unpacking is :mod:`wherry.snapshots.unpack`'s. Sources: POSIX.1-2024 *pax*,
the GNU tar manual ("Basic Tar Format", "Storing Sparse Files").
"""

import stat
from collections.abc import Iterator
from dataclasses import dataclass

from wherry.snapshots.snapshotter import MAX_LAYER_ENTRIES, LayerRejected, Source
from wherry.snapshots.tar_fields import MAX_PATH_BYTES, Malformed, check_sum, clean_path, cut, link_text, number
from wherry.snapshots.tar_pax import MAX_PAX_BYTES, Overrides, old_gnu_extents, parse_records, sparse_map_v1

BLOCK = 512
CHUNK = 1 << 20
MAX_FILE_BYTES = 1 << 40

_ZERO_BLOCK = bytes(BLOCK)
_NO_XATTRS: dict[bytes, bytes] = {}

# The type of file each typeflag makes; a hard link has none of its own.
HARDLINK = 0
_TYPES = {
    b"0": stat.S_IFREG,
    b"\0": stat.S_IFREG,
    b"7": stat.S_IFREG,
    b"S": stat.S_IFREG,
    b"1": HARDLINK,
    b"2": stat.S_IFLNK,
    b"3": stat.S_IFCHR,
    b"4": stat.S_IFBLK,
    b"5": stat.S_IFDIR,
    b"6": stat.S_IFIFO,
}
_REGULAR = stat.S_IFREG
_DIRECTORY = stat.S_IFDIR


class TarError(LayerRejected):
    """Malformed or ambiguous archive; the message names the byte offset and, when known, the member."""


@dataclass(slots=True)
class Entry:
    """One member. ``path`` is relative without ``.`` and empty components; b"" is the root itself.

    ``file_type`` is an ``S_IF…`` constant or HARDLINK. ``size`` is the logical size; ``sparse`` lists the
    (offset, length) extents that the stored data fills, None for a plain file. ``link`` is a symlink's text
    as it is, or a hard link's path in the form of ``path``. ``offset`` is where the member's header begins.
    """

    path: bytes
    file_type: int
    mode: int
    uid: int
    gid: int
    size: int
    mtime_ns: int
    link: bytes
    device: tuple[int, int]
    xattrs: dict[bytes, bytes]
    sparse: list[tuple[int, int]] | None
    offset: int


class TarReader:
    """Iterate over entries; between two of them :meth:`chunks` gives the current one's stored data, once."""

    def __init__(self, source: Source, *, max_entries: int = MAX_LAYER_ENTRIES) -> None:
        self._read = source.read
        self._chunk = b""  # what was read last
        self._at = 0  # position in it
        self._base = 0  # offset of the chunk in the stream
        self._stored = 0  # data of the current member not yet consumed
        self._padding = 0  # after it
        self._headers_left = max_entries
        self._globals = Overrides()

    @property
    def offset(self) -> int:
        """Position in the stream: of the next header, while nothing of the current member is left."""
        return self._base + self._at

    def __iter__(self) -> Iterator[Entry]:
        while True:
            entry = self._next()
            if entry is None:
                return
            yield entry

    def chunks(self) -> Iterator[memoryview]:
        """The current member's stored data in order: the whole file, or a sparse one's extents back to back."""
        while self._stored:
            if self._at == len(self._chunk):
                self._fill()
            end = min(len(self._chunk), self._at + self._stored)
            view = memoryview(self._chunk)[self._at : end]
            self._stored -= end - self._at
            self._at = end
            yield view

    def drain(self) -> None:
        """Read on to the real end of the stream: what follows the archive counts for the digest, for nothing else."""
        while chunk := self._read(CHUNK):
            self._base += len(self._chunk)
            self._chunk = chunk
            self._at = len(chunk)

    # -- the stream

    def _fill(self) -> None:
        """Replace a used-up chunk by the next one."""
        chunk = self._read(CHUNK)
        if not chunk:
            raise TarError(f"unexpected EOF: the archive ends at byte {self.offset}")
        self._base += len(self._chunk)
        self._chunk = chunk
        self._at = 0

    def _block(self) -> bytes:
        """The next 512 bytes, or b"" at a clean end of the stream."""
        at = self._at
        end = at + BLOCK
        if end <= len(self._chunk):
            self._at = end
            return self._chunk[at:end]
        return self._block_across_chunks()

    def _block_across_chunks(self) -> bytes:
        start = self.offset
        block = self._chunk[self._at :]
        while len(block) < BLOCK:
            chunk = self._read(CHUNK)
            if not chunk:
                if not block:
                    return b""
                raise TarError(f"unexpected EOF: the archive ends inside the block at byte {start}")
            self._base += len(self._chunk)
            self._chunk = chunk
            self._at = min(BLOCK - len(block), len(chunk))
            block += chunk[: self._at]
        return block

    def _take(self, size: int) -> bytes:
        """``size`` bytes and their padding to a block."""
        self._stored = size
        data = b"".join(self.chunks())
        self._padding = -size % BLOCK
        self._skip()
        return data

    def _skip(self) -> None:
        """Pass over what is left of the current member."""
        for _ in self.chunks():
            pass
        self._stored, self._padding = self._padding, 0
        for _ in self.chunks():
            pass

    # -- headers

    def _next(self) -> Entry | None:
        if self._stored or self._padding:
            self._skip()
        start = self.offset
        try:
            return self._parse(start)
        except Malformed as exc:
            raise TarError(f"{exc} in the tar header at byte {start}") from exc

    def _parse(self, start: int) -> Entry | None:
        local: Overrides | None = None
        long_path = long_link = None
        while True:
            block = self._block()
            if not block or block == _ZERO_BLOCK:
                if local is not None or long_path is not None or long_link is not None:
                    raise Malformed("extended header without an entry")
                self._end(block)
                return None
            self._headers_left -= 1
            if self._headers_left < 0:
                raise Malformed("too many entries")
            check_sum(block)
            flag = block[156:157]
            if flag in _TYPES:
                return self._entry(block, flag, start, local, long_path, long_link)
            if flag == b"x":
                if local is not None:
                    raise Malformed("two PAX headers for one entry")
                local = parse_records(self._take(_meta_size(block, MAX_PAX_BYTES)))
            elif flag == b"g":
                self._global(parse_records(self._take(_meta_size(block, MAX_PAX_BYTES))))
            elif flag == b"L" and long_path is None:
                long_path = cut(self._take(_meta_size(block, MAX_PATH_BYTES + BLOCK)))
            elif flag == b"K" and long_link is None:
                long_link = cut(self._take(_meta_size(block, MAX_PATH_BYTES + BLOCK)))
            else:
                raise Malformed(f"unsupported entry type {flag!r}")

    def _end(self, block: bytes) -> None:
        """The end of the archive: nothing, or two blocks of zeros (the second may be cut off by the end)."""
        if block and self._block() not in (b"", _ZERO_BLOCK):
            raise Malformed("a lone block of zeros")  # GNU tar stops here, Go's reader reports an error

    def _global(self, records: Overrides) -> None:
        if records.path is not None or records.link is not None or records.size is not None or records.sparse:
            raise Malformed("a global PAX header that names a single file")
        self._globals = self._globals.updated(records)

    def _entry(
        self,
        block: bytes,
        flag: bytes,
        start: int,
        local: Overrides | None,
        long_path: bytes | None,
        long_link: bytes | None,
    ) -> Entry:
        file_type = _TYPES[flag]
        end = block.find(0, 0, 100)
        name = block[:100] if end < 0 else block[:end]
        if block[345] and block[257:263] == b"ustar\0":
            name = cut(block[345:500]) + b"/" + name
        link = cut(block[157:257]) if file_type in (HARDLINK, stat.S_IFLNK) else b""
        stored = number(block, 124, 136, "size")
        pax = local if local is not None else self._globals
        if local is not None and self._globals.any:
            pax = self._globals.updated(local)
        if pax.any or long_path is not None or long_link is not None:
            name = _one_of(long_path, pax.path, name, "names")
            if file_type in (HARDLINK, stat.S_IFLNK):
                link = _one_of(long_link, pax.link, link, "link targets")
            if pax.size is not None:
                stored = pax.size

        if file_type == HARDLINK:
            if pax.size:
                raise Malformed("data for a hard link")
            stored = 0  # both GNU tar and Go ignore the size that old archives give a link
        elif file_type != _REGULAR and stored:
            raise Malformed("data for an entry that is not a regular file")
        elif name.endswith(b"/"):
            if file_type == _REGULAR:
                if flag != b"\0" or stored:
                    raise Malformed("a regular file whose name ends in '/'")
                file_type = _DIRECTORY  # how archives before ustar mark a directory
            elif file_type != _DIRECTORY:
                raise Malformed("a name that ends in '/' and is no directory")

        self._stored = stored
        self._padding = -stored % BLOCK
        size, sparse = stored, None
        if flag == b"S" or pax.sparse is not None:
            if file_type != _REGULAR:
                raise Malformed("a sparse map for an entry that is not a regular file")
            size, sparse, sparse_name = self._sparse(block, flag, pax)
            if sparse_name is not None:
                name = sparse_name
        if size > MAX_FILE_BYTES:
            raise Malformed("file size over the limit")

        device = (0, 0)
        # Headers from before ustar have no device numbers: GNU tar and Go read 0:0 whatever is in their place.
        if file_type in (stat.S_IFCHR, stat.S_IFBLK) and block[257:265].startswith((b"ustar\0", b"ustar  \0")):
            device = (number(block, 329, 337, "device"), number(block, 337, 345, "device"))
            if device[0] > 0xFFF or device[1] > 0xFFFFF:
                raise Malformed("device number out of range")
        mode = number(block, 100, 108, "mode")
        uid = pax.uid if pax.uid is not None else number(block, 108, 116, "uid")
        gid = pax.gid if pax.gid is not None else number(block, 116, 124, "gid")
        if uid > 0xFFFFFFFE or gid > 0xFFFFFFFE:
            raise Malformed("owner out of range")
        return Entry(
            clean_path(name),
            file_type,
            mode & 0o7777,
            uid,
            gid,
            size,
            pax.mtime_ns
            if pax.mtime_ns is not None
            else number(block, 136, 148, "mtime", signed=True) * 1_000_000_000,
            clean_path(link) if file_type == HARDLINK else link_text(link),
            device,
            pax.xattrs or _NO_XATTRS,
            sparse,
            start,
        )

    def _sparse(self, block: bytes, flag: bytes, pax: Overrides) -> tuple[int, list[tuple[int, int]], bytes | None]:
        """Logical size, extents and name of a sparse file; leaves the reader at its data."""
        if flag == b"S":
            if pax.sparse is not None or block[257:263] == b"ustar\0":
                raise Malformed("two kinds of sparse file at once")
            extensions: list[bytes] = []
            more = block[482]
            while more:
                extension = self._block()
                if not extension or len(extensions) > 4096:
                    raise Malformed("sparse map too long")
                extensions.append(extension)
                more = extension[504]
            extents = old_gnu_extents(block, extensions)
            size = number(block, 483, 495, "sparse size")
            name = None
        else:
            sparse = pax.sparse
            assert sparse is not None
            name = sparse.name
            size = sparse.size
            extents = self._sparse_v1() if sparse.version_1 else sparse.extents
        _check_extents(extents, size, self._stored)
        return size, extents, name

    def _sparse_v1(self) -> list[tuple[int, int]]:
        """Read the map that format 1.0 puts before the data, in whole blocks."""
        blocks: list[bytes] = []

        def next_block() -> bytes:
            if self._stored < BLOCK:
                raise Malformed("sparse map longer than its file")
            self._stored -= BLOCK
            block = self._block()
            if not block:
                raise Malformed("unexpected EOF: the archive ends too early")
            blocks.append(block)
            return block

        return sparse_map_v1(next_block)


def _one_of(long: bytes | None, pax: bytes | None, header: bytes, what: str) -> bytes:
    if long is not None:
        if pax is not None:
            raise Malformed(f"two {what}, by PAX and by GNU long name")  # GNU tar and Go choose differently
        return long
    return header if pax is None else pax


def _meta_size(block: bytes, limit: int) -> int:
    size = number(block, 124, 136, "size")
    if size > limit:
        raise Malformed("extended header over the limit")
    return size


def _check_extents(extents: list[tuple[int, int]], size: int, stored: int) -> None:
    """Extents ascend, do not overlap, lie in the file and account for every stored byte."""
    end = total = 0
    for offset, length in extents:
        if offset < end:
            raise Malformed("sparse extents out of order")
        end = offset + length
        total += length
    if end > size or total != stored:
        raise Malformed("sparse map does not fit its file")

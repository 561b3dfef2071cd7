"""Write tar deterministically: ustar, with a PAX header only for what ustar cannot say.

The same entries give the same bytes on every host: no names of users, no times but the entry's whole seconds, records
in a fixed order.
"""

import os
import stat

from wherry.snapshots.snapshotter import Sink
from wherry.snapshots.tar_reader import BLOCK, CHUNK, HARDLINK, Entry

_FLAGS = {
    stat.S_IFREG: b"0",
    HARDLINK: b"1",
    stat.S_IFLNK: b"2",
    stat.S_IFCHR: b"3",
    stat.S_IFBLK: b"4",
    stat.S_IFDIR: b"5",
    stat.S_IFIFO: b"6",
}
_MAX_OCTAL_7 = 0o7777777
_MAX_OCTAL_11 = 0o77777777777


class TarWriter:
    """Writes to ``out``, which stays open. Finish with :meth:`finish`."""

    def __init__(self, out: Sink) -> None:
        self._write = out.write

    def add(self, entry: Entry, file_fd: int = -1) -> None:
        """Write one member. A regular file's data is read from ``file_fd``: ``entry.size`` bytes from offset 0, or
        ``entry.sparse`` extents; a file that ends early is filled with zeros."""
        name = entry.path + b"/" if entry.file_type == stat.S_IFDIR else entry.path
        if not entry.path:
            name = b"./"
        records: dict[bytes, bytes] = {}
        size = entry.size if entry.file_type == stat.S_IFREG else 0
        extents = [(0, size)]
        sparse_map = b""
        if entry.sparse is not None:
            extents = entry.sparse
            sparse_map = _sparse_map(extents)
            records[b"GNU.sparse.major"] = b"1"
            records[b"GNU.sparse.minor"] = b"0"
            records[b"GNU.sparse.name"] = name
            records[b"GNU.sparse.realsize"] = b"%d" % size
            size = len(sparse_map) + sum(length for _, length in extents)
            name = b"GNUSparseFile.0/" + name.rpartition(b"/")[2][:80]
        prefix, short = _split_name(name)
        if short is None:
            records[b"path"] = name
            short = name[:100]
        link = entry.link
        if len(link) > 100:
            records[b"linkpath"] = link
            link = link[:100]
        mtime = entry.mtime_ns // 1_000_000_000
        numbers = [
            (b"gid", entry.gid, _MAX_OCTAL_7),
            (b"mtime", mtime, _MAX_OCTAL_11),
            (b"size", size, _MAX_OCTAL_11),
            (b"uid", entry.uid, _MAX_OCTAL_7),
        ]
        for key, number, limit in numbers:
            if not 0 <= number <= limit:
                records[key] = b"%d" % number
        for attribute, value in entry.xattrs.items():
            records[b"SCHILY.xattr." + attribute] = value
        if records:
            data = b"".join(_record(key, records[key]) for key in sorted(records))
            self._write(_header(b"PaxHeaders/entry", b"", b"x", 0o644, 0, 0, len(data), 0, b"", (0, 0)))
            self._write(data + bytes(-len(data) % BLOCK))
        self._write(
            _header(
                short,
                prefix,
                _FLAGS[entry.file_type],
                entry.mode,
                _fit(entry.uid, _MAX_OCTAL_7),
                _fit(entry.gid, _MAX_OCTAL_7),
                _fit(size, _MAX_OCTAL_11),
                _fit(mtime, _MAX_OCTAL_11),
                link,
                entry.device,
            )
        )
        if size:
            if sparse_map:
                self._write(sparse_map)
            for offset, length in extents:
                self._copy(file_fd, offset, length)
            self._write(bytes(-size % BLOCK))

    def finish(self) -> None:
        """Write the end of the archive."""
        self._write(bytes(2 * BLOCK))

    def _copy(self, fd: int, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            data = os.pread(fd, min(CHUNK, end - offset), offset)
            if not data:  # it shrank since its size was read
                data = bytes(min(CHUNK, end - offset))
            self._write(data)
            offset += len(data)


def _header(
    name: bytes,
    prefix: bytes,
    flag: bytes,
    mode: int,
    uid: int,
    gid: int,
    size: int,
    mtime: int,
    link: bytes,
    device: tuple[int, int],
) -> bytes:
    start = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (name.ljust(100, b"\0"), mode, uid, gid, size, mtime)
    end = b"%s%sustar\x0000%s%07o\0%07o\0%s" % (
        flag,
        link.ljust(100, b"\0"),
        bytes(64),
        device[0],
        device[1],
        prefix.ljust(167, b"\0"),
    )
    return b"%s%06o\0 %s" % (start, sum(start) + sum(end) + 8 * 0x20, end)


def _split_name(name: bytes) -> tuple[bytes, bytes | None]:
    """ustar's prefix and name; (b"", None) when they cannot hold it."""
    if len(name) <= 100:
        return b"", name
    slash = name.rfind(b"/", 0, min(156, len(name) - 1))
    if slash > 0 and len(name) - slash - 1 <= 100:
        return name[:slash], name[slash + 1 :]
    return b"", None


def _fit(number: int, limit: int) -> int:
    return number if 0 <= number <= limit else 0


def _record(key: bytes, value: bytes) -> bytes:
    body = b" %s=%s\n" % (key, value)
    length = len(body) + len(str(len(body)))
    if len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return b"%d%s" % (length, body)


def _sparse_map(extents: list[tuple[int, int]]) -> bytes:
    lines = b"%d\n" % len(extents) + b"".join(b"%d\n%d\n" % extent for extent in extents)
    return lines + bytes(-len(lines) % BLOCK)

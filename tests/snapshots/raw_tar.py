"""Tar written field by field: libraries normalise an attack away."""

import io
from collections.abc import Iterable

USTAR = b"ustar\x0000"
GNU = b"ustar  \0"
V7 = bytes(8)
END = bytes(1024)

REGULAR, HARDLINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"


def header(
    name: bytes,
    flag: bytes = REGULAR,
    *,
    size: int = 0,
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 1_700_000_000,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    prefix: bytes = b"",
    magic: bytes = USTAR,
    raw: dict[int, bytes] | None = None,
    checksum: bytes | None = None,
) -> bytes:
    """One 512-byte header; ``raw`` writes bytes at offsets after everything else, before the checksum."""
    block = bytearray(512)
    block[0 : len(name)] = name
    block[100:124] = b"%07o\0%07o\0%07o\0" % (mode, uid, gid)
    block[124:148] = b"%011o\0%011o\0" % (size, mtime)
    block[156:157] = flag
    block[157 : 157 + len(link)] = link
    block[257:265] = magic
    block[329:345] = b"%07o\0%07o\0" % device
    block[345 : 345 + len(prefix)] = prefix
    for offset, data in (raw or {}).items():
        block[offset : offset + len(data)] = data
    block[148:156] = b" " * 8
    block[148:156] = checksum if checksum is not None else b"%06o\0 " % sum(block)
    assert len(block) == 512
    return bytes(block)


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def file(name: bytes, data: bytes = b"", *, mode: int = 0o644, uid: int = 0, gid: int = 0) -> bytes:
    return header(name, size=len(data), mode=mode, uid=uid, gid=gid) + padded(data)


def directory(name: bytes, *, mode: int = 0o755, uid: int = 0, gid: int = 0, mtime: int = 1_700_000_000) -> bytes:
    return header(name, DIRECTORY, mode=mode, uid=uid, gid=gid, mtime=mtime)


def symlink(name: bytes, target: bytes) -> bytes:
    return header(name, SYMLINK, link=target, mode=0o777)


def hardlink(name: bytes, target: bytes) -> bytes:
    return header(name, HARDLINK, link=target)


def record(key: bytes, value: bytes) -> bytes:
    body = b" %s=%s\n" % (key, value)
    length = len(body)
    while len(str(length)) + len(body) != length:
        length = len(str(length)) + len(body)
    return b"%d%s" % (length, body)


def pax(*records: tuple[bytes, bytes], flag: bytes = b"x", data: bytes | None = None) -> bytes:
    body = b"".join(record(key, value) for key, value in records) if data is None else data
    return header(b"PaxHeaders/x", flag, size=len(body)) + padded(body)


def long_name(name: bytes, flag: bytes = b"L") -> bytes:
    return header(b"././@LongLink", flag, size=len(name) + 1, magic=GNU) + padded(name + b"\0")


def archive(*members: bytes, end: bytes = END) -> bytes:
    return b"".join(members) + end


def stream(*members: bytes) -> io.BytesIO:
    return io.BytesIO(archive(*members))


class Endless:
    """``members`` again and again, as often as asked for: an archive larger than any memory."""

    def __init__(self, members: Iterable[bytes]) -> None:
        self._members = iter(members)
        self.given = 0

    def read(self, size: int, /) -> bytes:
        data = next(self._members, b"")
        self.given += len(data)
        return data

"""PAX records and sparse maps: the parts of a tar header that are not in its 512 bytes.

Source: POSIX.1-2024 *pax*, "pax Header Block"; GNU tar manual, "Storing Sparse Files" (old GNU, 0.0, 0.1, 1.0).
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from wherry.snapshots.tar_fields import Malformed, number

MAX_PAX_BYTES = 1 << 20
MAX_XATTRS = 128
MAX_XATTR_BYTES = 64 << 10
MAX_EXTENTS = 65_536

_XATTR = b"SCHILY.xattr."
_SPARSE = b"GNU.sparse."


@dataclass(slots=True)
class Sparse:
    """The ``GNU.sparse.*`` records of one entry."""

    size: int = -1
    name: bytes | None = None
    version_1: bool = False
    extents: list[tuple[int, int]] = field(default_factory=list)


@dataclass(slots=True)
class Overrides:
    """What PAX records say about an entry; None where they say nothing."""

    path: bytes | None = None
    link: bytes | None = None
    size: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime_ns: int | None = None
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
    sparse: Sparse | None = None
    any: bool = False

    def updated(self, newer: "Overrides") -> "Overrides":
        """These records with ``newer`` ones on top of them."""
        return Overrides(
            path=newer.path if newer.path is not None else self.path,
            link=newer.link if newer.link is not None else self.link,
            size=newer.size if newer.size is not None else self.size,
            uid=newer.uid if newer.uid is not None else self.uid,
            gid=newer.gid if newer.gid is not None else self.gid,
            mtime_ns=newer.mtime_ns if newer.mtime_ns is not None else self.mtime_ns,
            xattrs={**self.xattrs, **newer.xattrs},
            sparse=newer.sparse or self.sparse,
            any=self.any or newer.any,
        )


def parse_records(data: bytes) -> Overrides:
    """Decode ``<length> <key>=<value>\\n`` records. A repeated key: the last one counts, as POSIX says."""
    result = Overrides(any=True)
    sparse: list[tuple[bytes, bytes]] = []
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 9)
        digits = data[at:space]
        if space < 0 or not digits.isdigit() or digits[0] == 0x30:
            raise Malformed("invalid PAX record")
        end = at + int(digits)
        equals = data.find(b"=", space + 1, end)
        if equals <= space + 1 or end > len(data) or data[end - 1] != 0x0A:
            raise Malformed("invalid PAX record")
        key, value = data[space + 1 : equals], data[equals + 1 : end - 1]
        at = end
        if key == b"path" or key == b"linkpath":
            if not value or b"\0" in value:
                raise Malformed(f"invalid PAX {key.decode()}")
            if key == b"path":
                result.path = value
            else:
                result.link = value
        elif key.startswith(_XATTR):
            _add_xattr(result.xattrs, key[len(_XATTR) :], value)
        elif key.startswith(_SPARSE):
            sparse.append((key[len(_SPARSE) :], value))
        elif key == b"mtime":
            result.mtime_ns = _time_ns(value)
        elif key == b"size":
            result.size = _decimal(value)
        elif key == b"uid":
            result.uid = _decimal(value)
        elif key == b"gid":
            result.gid = _decimal(value)
        # Every other key (atime, ctime, uname, comment, vendor keys) has no bearing on a layer.
    if sparse:
        result.sparse = _sparse(sparse)
    return result


def _add_xattr(xattrs: dict[bytes, bytes], name: bytes, value: bytes) -> None:
    if not name or len(name) > 255 or b"\0" in name or len(value) > MAX_XATTR_BYTES:
        raise Malformed("invalid extended attribute")
    xattrs[name] = value
    if len(xattrs) > MAX_XATTRS:
        raise Malformed("too many extended attributes")


def _decimal(value: bytes) -> int:
    if not value.isdigit() or len(value) > 20:
        raise Malformed("invalid number in a PAX record")
    decoded = int(value)
    if decoded >= 1 << 63:
        raise Malformed("number out of range in a PAX record")
    return decoded


def _time_ns(value: bytes) -> int:
    """``[-]seconds[.fraction]`` in nanoseconds; finer digits are cut towards the past, as GNU tar does."""
    text = value[1:] if value[:1] == b"-" else value
    whole, dot, fraction = text.partition(b".")
    if not whole.isdigit() or len(whole) > 12 or (dot and fraction and not fraction.isdigit()):
        raise Malformed("invalid time in a PAX record")
    time = int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    if value[:1] == b"-":
        return -time - (1 if fraction[9:].strip(b"0") else 0)
    return time


def _sparse(records: list[tuple[bytes, bytes]]) -> Sparse:
    result = Sparse()
    version = [b"0", b"0"]
    offsets: list[int] = []
    lengths: list[int] = []
    count = None
    for key, value in records:
        if key == b"major":
            version[0] = value
        elif key == b"minor":
            version[1] = value
        elif key == b"name":
            if not value or b"\0" in value:
                raise Malformed("invalid name of a sparse file")
            result.name = value
        elif key in (b"size", b"realsize"):
            result.size = _decimal(value)
        elif key == b"numblocks":
            count = _decimal(value)
        elif key == b"offset":
            offsets.append(_decimal(value))
        elif key == b"numbytes":
            lengths.append(_decimal(value))
        elif key == b"map":
            numbers = [_decimal(digits) for digits in value.split(b",")] if value else []
            offsets, lengths = numbers[::2], numbers[1::2]
        else:
            raise Malformed("unknown record of a sparse file")
        if len(offsets) > MAX_EXTENTS:
            raise Malformed("sparse map too long")
    if result.size < 0 or len(offsets) != len(lengths):
        raise Malformed("incomplete sparse map")
    if version == [b"1", b"0"]:
        if offsets or count is not None:
            raise Malformed("two sparse maps")
        result.version_1 = True
    elif version not in ([b"0", b"0"], [b"0", b"1"]) or count != len(offsets):
        raise Malformed("incomplete sparse map")
    result.extents = list(zip(offsets, lengths, strict=True))
    return result


def sparse_map_v1(next_block: Callable[[], bytes]) -> list[tuple[int, int]]:
    """Decode format 1.0's map: decimal lines (count, then offset and length by turns) in whole blocks."""
    buffer = b""

    def line() -> int:
        nonlocal buffer
        while (end := buffer.find(b"\n")) < 0:
            if len(buffer) > 20:
                raise Malformed("invalid sparse map")
            buffer += next_block()
        digits, buffer = buffer[:end], buffer[end + 1 :]
        return _decimal(digits)

    count = line()
    if count > MAX_EXTENTS:
        raise Malformed("sparse map too long")
    return [(line(), line()) for _ in range(count)]


def old_gnu_extents(block: bytes, extensions: list[bytes]) -> list[tuple[int, int]]:
    """Extents from a header of type ``S`` (four) and its extension blocks (21 each), up to an empty one."""
    extents: list[tuple[int, int]] = []
    for source, start, slots in [(block, 386, 4), *((extension, 0, 21) for extension in extensions)]:
        for slot in range(slots):
            at = start + 24 * slot
            if not source[at + 12]:  # the length's first byte: an unused slot is all zeros
                return extents
            extents.append((number(source, at, at + 12, "extent"), number(source, at + 12, at + 24, "extent")))
    return extents

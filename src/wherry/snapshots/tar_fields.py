"""The fields of a tar header: numbers in every dress, checksum, names. What parsers disagree about is refused."""

from zlib import adler32

MAX_PATH_BYTES = 4096
MAX_DEPTH = 512


class Malformed(ValueError):
    """What is wrong; the reader adds where."""


def clean_path(name: bytes) -> bytes:
    """``name`` relative to the root, without ``.`` and doubled slashes.

    Raises Malformed for ``..`` (S20), NUL, and anything over the limits of length and depth.
    """
    if len(name) > MAX_PATH_BYTES:
        raise Malformed("name too long")
    if b"/" in name or name in (b"", b".", b".."):
        if not name:
            raise Malformed("empty name")
        parts = [part for part in name.split(b"/") if part and part != b"."]
        if b".." in parts:
            raise Malformed(f"name with '..' ({name[:200]!r})")
        if len(parts) > MAX_DEPTH:
            raise Malformed("path too deep")
        if any(len(part) > 255 for part in parts):
            raise Malformed("name too long")
        name = b"/".join(parts)
    elif len(name) > 255:
        raise Malformed("name too long")
    return name


def link_text(link: bytes) -> bytes:
    """A symlink's target, whatever it says, if the kernel could hold it."""
    if len(link) >= MAX_PATH_BYTES:
        raise Malformed("link target too long")
    return link


def cut(text: bytes) -> bytes:
    """A C string: up to its NUL."""
    end = text.find(0)
    return text if end < 0 else text[:end]


def check_sum(block: bytes) -> None:
    """Compare the sum of a header's bytes with what it claims."""
    # adler32's low half is 1 + the sum of the bytes modulo 65521, which 256 bytes cannot reach: an exact sum at
    # a thirtieth of the price of sum(). The checksum field itself counts as eight spaces.
    total = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2
    field = block[148:156]
    if total - sum(field) + 256 != number(field, 0, 8, "checksum"):
        raise Malformed("wrong checksum")


def number(block: bytes, start: int, end: int, what: str, *, signed: bool = False) -> int:
    """A numeric field: octal digits ended by NUL or space, or base-256; empty is 0."""
    field = block[start:end]
    first = field[0]
    if first >= 0x80:
        return _base_256(field, what, signed=signed)
    digits = field.strip(b" \0") if first == 0x20 or first == 0 else field.rstrip(b" \0")
    if digits.isdigit():
        try:
            return int(digits, 8)
        except ValueError as exc:
            raise Malformed(f"invalid {what}") from exc
    digits = cut(digits)
    if not digits:
        return 0
    if not digits.isdigit():  # int() would take signs, underscores and a prefix
        raise Malformed(f"invalid {what}")
    return int(digits, 8)


def _base_256(field: bytes, what: str, *, signed: bool) -> int:
    if field[0] not in (0x80, 0xFF):
        raise Malformed(f"invalid {what}")
    value = int.from_bytes(field[1:], "big", signed=False)
    if field[0] == 0xFF:
        value -= 1 << 8 * (len(field) - 1)
    if (value < 0 and not signed) or not -(1 << 63) <= value < 1 << 63:
        raise Malformed(f"{what} out of range")
    return value

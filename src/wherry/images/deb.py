"""Reading a Debian package: an ar archive with ``data.tar.*`` inside (deb(5))."""

import io
import stat
from collections.abc import Iterator
from typing import Final

from wherry.content.compression import DecompressedReader
from wherry.errors import InvalidParameter
from wherry.snapshots.tar_reader import TarReader

_MAGIC: Final = b"!<arch>\n"
_HEADER_BYTES: Final = 60
_MAX_FILE_BYTES: Final = 64 << 20


class InvalidPackage(InvalidParameter):
    """Not a Debian package."""


def package_files(package: bytes) -> Iterator[tuple[str, int, bytes]]:
    """Path (relative), mode and content of every regular file of a package."""
    reader = TarReader(DecompressedReader(io.BytesIO(_member(package, "data.tar"))))
    for entry in reader:
        if entry.file_type == stat.S_IFREG and entry.size <= _MAX_FILE_BYTES:
            yield entry.path.decode(), entry.mode, b"".join(bytes(chunk) for chunk in reader.chunks())


def _member(package: bytes, prefix: str) -> bytes:
    if not package.startswith(_MAGIC):
        raise InvalidPackage("read package: not an ar archive")
    at = len(_MAGIC)
    while at + _HEADER_BYTES <= len(package):
        header = package[at : at + _HEADER_BYTES]
        name = header[:16].decode("ascii", "replace").rstrip(" ").rstrip("/")
        digits = header[48:58].strip()
        if header[58:60] != b"`\n" or not digits.isdigit():
            raise InvalidPackage("read package: broken ar header")
        start, size = at + _HEADER_BYTES, int(digits)
        if name == prefix or name.startswith(prefix + "."):
            return package[start : start + size]
        at = start + size + size % 2
    raise InvalidPackage(f"read package: no {prefix} in it")

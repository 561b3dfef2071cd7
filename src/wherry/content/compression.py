"""Compressed streams: told by their first bytes, read through one interface, bounded in memory.

isal where it is installed, zlib otherwise. Every decompressor of this module reads concatenated members as
GNU tools do, and raises CorruptStream for anything else. The bytes that come out are not bounded here: the
reader of the stream knows what it may cost (S18).
"""

import bz2
import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Callable
from enum import StrEnum
from typing import Any, BinaryIO, Final, Protocol, cast

from wherry.errors import InvalidParameter

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

try:
    from isal import igzip, igzip_lib

    _DEFLATE_ERRORS: tuple[type[Exception], ...] = (zlib.error, cast(type[Exception], igzip_lib.IsalError))
except ImportError:  # no wheel for this machine: zlib does the same at a third of the speed
    igzip = None  # type: ignore[assignment]
    _DEFLATE_ERRORS = (zlib.error,)

_ERRORS: Final[tuple[type[Exception], ...]] = (
    EOFError,
    OSError,
    lzma.LZMAError,
    zstd.ZstdError,
    *_DEFLATE_ERRORS,
)
_XZ_MEMORY_BYTES: Final = 256 << 20
_ZSTD_WINDOW_LOG: Final = 27
"""128 MiB, what ``zstd --long`` makes; a frame that asks for more is refused (S18)."""
_READ_BYTES: Final = 256 << 10


class CorruptStream(InvalidParameter):
    """Compressed data that cannot be decompressed."""


class Compression(StrEnum):
    """How a stream is compressed."""

    NONE = "none"
    GZIP = "gzip"
    ZSTD = "zstd"
    XZ = "xz"
    BZIP2 = "bzip2"


_MAGIC: Final = (
    (b"\x1f\x8b\x08", Compression.GZIP),
    (b"\x28\xb5\x2f\xfd", Compression.ZSTD),
    (b"\xfd7zXZ\x00", Compression.XZ),
    (b"BZh", Compression.BZIP2),
)
MAGIC_BYTES: Final = 6


def detect(head: bytes) -> Compression:
    """The compression of a stream that begins with ``head`` (at least MAGIC_BYTES, if it has as many)."""
    return next((kind for magic, kind in _MAGIC if head.startswith(magic)), Compression.NONE)


class ByteSource(Protocol):
    """A stream as this module reads it: a read that may give less than asked, nothing only at the end."""

    def read(self, size: int, /) -> bytes: ...


class DecompressedReader:
    """The plain bytes of a compressed stream. ``read`` may give less than asked, and nothing only at the end."""

    def __init__(self, source: ByteSource) -> None:
        """Reads the first bytes of ``source``; never closes it. Raises CorruptStream."""
        head = b""
        while len(head) < MAGIC_BYTES and (more := source.read(MAGIC_BYTES - len(head))):
            head += more
        self.compression = detect(head)
        self._read = _reader(self.compression, _Rejoined(head, source))

    def read(self, size: int = 1 << 20, /) -> bytes:
        """Up to ``size`` plain bytes; raises CorruptStream."""
        try:
            return self._read(size)
        except _ERRORS as exc:
            if isinstance(exc, OSError) and exc.errno is not None:
                raise  # the source's own trouble
            raise CorruptStream(f"decompress {self.compression} stream: {exc}") from exc


def _reader(kind: Compression, source: "_Rejoined") -> Callable[[int], bytes]:
    match kind:
        case Compression.GZIP:
            opened = igzip.IGzipFile if igzip is not None else gzip.GzipFile
            return cast(Callable[[int], bytes], opened(fileobj=source, mode="rb").read1)  # type: ignore[no-untyped-call]
        case Compression.ZSTD:
            limits: dict[int, int] = {zstd.DecompressionParameter.window_log_max: _ZSTD_WINDOW_LOG}
            return zstd.ZstdFile(cast(BinaryIO, source), "r", options=limits).read1
        case Compression.XZ:
            return _XzReader(source).read
        case Compression.BZIP2:
            return bz2.BZ2File(cast(BinaryIO, source), "rb").read1
        case Compression.NONE:
            return source.read


class _Rejoined(io.RawIOBase):
    """A stream with its first bytes put back."""

    def __init__(self, head: bytes, source: ByteSource) -> None:
        self._head = head
        self._source = source

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if self._head:
            head, self._head = (self._head, b"") if size < 0 else (self._head[:size], self._head[size:])
            return head
        return self._source.read(size if size >= 0 else _READ_BYTES)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


class _XzReader:
    """lzma.LZMAFile takes no limit of memory, and a dictionary may be 4 GiB."""

    def __init__(self, source: _Rejoined) -> None:
        self._source = source
        self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES)

    def read(self, size: int, /) -> bytes:
        while True:
            if self._decompressor.eof:
                rest = self._decompressor.unused_data.lstrip(b"\0") or self._source.read(_READ_BYTES).lstrip(b"\0")
                if not rest:
                    return b""
                self._decompressor = lzma.LZMADecompressor(lzma.FORMAT_XZ, _XZ_MEMORY_BYTES)
                data = self._decompressor.decompress(rest, size)
            elif self._decompressor.needs_input:
                rest = self._source.read(_READ_BYTES)
                if not rest:
                    raise EOFError("compressed data ended before the end-of-stream marker")
                data = self._decompressor.decompress(rest, size)
            else:
                data = self._decompressor.decompress(b"", size)
            if data:
                return data

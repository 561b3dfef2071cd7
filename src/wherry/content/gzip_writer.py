"""Compressing a layer for a registry: the same bytes come out each time, so the blob's digest is stable.

zlib, level 6, one member without name and with time 0, fed in pieces that do not depend on how the source was
read. isal would be faster, but its output differs between the instruction sets of two machines.
"""

import zlib
from typing import Final, Protocol

from wherry.content.compression import ByteSource

_PIECE_BYTES: Final = 1 << 20
_LEVEL: Final = 6
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS


class ByteSink(Protocol):
    """Where compressed bytes go."""

    def write(self, chunk: bytes, /) -> object: ...


def compress(source: ByteSource, sink: ByteSink) -> None:
    """Write ``source`` to ``sink`` as gzip; raises what the two raise."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
    while piece := source.read(_PIECE_BYTES):
        if compressed := compressor.compress(piece):
            sink.write(compressed)
    sink.write(compressor.flush())

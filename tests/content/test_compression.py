"""Compressed streams: told apart, read whole, refused when broken."""

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable

import pytest
from backports import zstd

from wherry.content.compression import Compression, CorruptStream, DecompressedReader

DATA = os.urandom(300_000) + bytes(2_000_000)
FORMATS: dict[Compression, Callable[[bytes], bytes]] = {
    Compression.NONE: bytes,
    Compression.GZIP: gzip.compress,
    Compression.ZSTD: zstd.compress,
    Compression.XZ: lzma.compress,
    Compression.BZIP2: bz2.compress,
}
COMPRESSED = [kind for kind in FORMATS if kind is not Compression.NONE]


def read_all(data: bytes, *, step: int = 1 << 20) -> bytes:
    reader = DecompressedReader(io.BytesIO(data))
    return b"".join(iter(lambda: reader.read(step), b""))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_is_detected_and_read(kind: Compression) -> None:
    packed = FORMATS[kind](DATA)
    assert DecompressedReader(io.BytesIO(packed)).compression is kind
    assert read_all(packed) == DATA
    assert read_all(packed, step=1013) == DATA


@pytest.mark.parametrize("kind", COMPRESSED)
def test_s31_concatenated_members_are_read_as_gnu_tools_do(kind: Compression) -> None:
    assert read_all(FORMATS[kind](b"one") + FORMATS[kind](b"two")) == b"onetwo"


@pytest.mark.parametrize("kind", COMPRESSED)
@pytest.mark.parametrize("kept", [7, 1000, -5])
def test_a_truncated_stream_is_an_error(kind: Compression, kept: int) -> None:
    packed = FORMATS[kind](os.urandom(100_000))
    with pytest.raises(CorruptStream):
        read_all(packed[:kept])


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_flipped_bit_is_an_error(kind: Compression) -> None:
    packed = bytearray(FORMATS[kind](os.urandom(100_000)))
    packed[-6] ^= 0x10
    with pytest.raises(CorruptStream):
        read_all(bytes(packed) if kind is not Compression.ZSTD else bytes(packed[:-3]))


def test_a_broken_deflate_block_is_an_error() -> None:
    packed = bytearray(gzip.compress(os.urandom(100_000)))
    packed[20_000:60_000] = bytes(40_000)
    with pytest.raises(CorruptStream):
        read_all(bytes(packed[:-8]) + b"\0" * 8)
    text = bytearray(gzip.compress(b"some words that compress " * 10_000))
    text[200:400] = b"\xff" * 200
    with pytest.raises(CorruptStream):
        read_all(bytes(text))


@pytest.mark.parametrize("data", [b"", b"a", b"\x1f\x8b", b"\xfd7zXZ"])
def test_short_streams_are_plain(data: bytes) -> None:
    assert read_all(data) == data


def test_the_sources_own_errors_pass_through() -> None:
    class Broken(io.RawIOBase):
        def read(self, size: int = -1, /) -> bytes:
            raise TimeoutError(110, "Connection timed out")

    with pytest.raises(TimeoutError):
        DecompressedReader(Broken())

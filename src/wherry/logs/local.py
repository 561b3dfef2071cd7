"""Docker's local driver: length-prefixed protobuf records, smaller and quicker to walk backwards than JSON.

A record is its size (4 bytes, big endian), a ``LogEntry``, the size again (moby ``daemon/logger/local`` and
``api/types/plugins/logdriver/entry.proto``: source = 1, time_nano = 2, line = 3, partial = 4).
"""

import struct
import time
from collections.abc import Iterator

from wherry.logs.line_splitter import LineSplitter
from wherry.logs.rotate import RotatingFile

_SIZE = struct.Struct(">I")
_SOURCE, _TIME, _LINE, _PARTIAL = 0x0A, 0x10, 0x1A, 0x20


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def encode_record(stream: str, time_ns: int, line: bytes, *, partial: bool) -> bytes:
    """One record, with its sizes around it; ``line`` is without newline."""
    source = stream.encode()
    body = b"\x0a" + _varint(len(source)) + source + b"\x10" + _varint(time_ns)
    body += b"\x1a" + _varint(len(line)) + line + (b"\x20\x01" if partial else b"")
    size = _SIZE.pack(len(body))
    return size + body + size


def decode_body(body: bytes) -> tuple[str, int, bytes, bool]:
    """A record's (stream, time_ns, line, partial); unknown fields are skipped. Raises ValueError, IndexError."""
    stream, time_ns, line, partial = "stdout", 0, b"", False
    offset = 0
    while offset < len(body):
        key, offset = _read_varint(body, offset)
        value, offset = _read_varint(body, offset)
        content = b""
        if key & 7 == 2:
            content = body[offset : offset + value]
            offset += value
        elif key & 7 != 0:
            raise ValueError(f"unexpected wire type in log record: {key & 7}")
        if key == _SOURCE:
            stream = content.decode()
        elif key == _TIME:
            time_ns = value
        elif key == _LINE:
            line = content
        elif key == _PARTIAL:
            partial = bool(value)
    return stream, time_ns, line, partial


def _read_varint(data: bytes, offset: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = data[offset]
        offset += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, offset
        shift += 7


def iterate_bodies(data: bytes) -> Iterator[tuple[bytes, int]]:
    """The whole records at the beginning of ``data``, each with the offset where the next one begins."""
    offset = 0
    while offset + 8 <= len(data):
        (size,) = _SIZE.unpack_from(data, offset)
        end = offset + 8 + size
        if end > len(data):
            return
        yield data[offset + 4 : end - 4], end
        offset = end


class LocalDriver:
    """Writes to a rotating file."""

    def __init__(self, file: RotatingFile) -> None:
        self._file = file
        self._splitters = {"stdout": LineSplitter(), "stderr": LineSplitter()}

    def write(self, stream: str, chunk: bytes) -> None:
        """See :class:`wherry.logs.driver.LogDriver`."""
        self._store(stream, self._splitters[stream].feed(chunk))

    def end_stream(self, stream: str) -> None:
        """See :class:`wherry.logs.driver.LogDriver`."""
        pending = self._splitters[stream].end()
        if pending:
            self._store(stream, [(pending, True)])

    def _store(self, stream: str, runs: list[tuple[bytes, bool]]) -> None:
        now = time.time_ns()
        records: list[bytes] = []
        for run, partial in runs:
            lines = [run] if partial else run[:-1].split(b"\n")
            records += [encode_record(stream, now, line, partial=partial) for line in lines]
        if records:
            self._file.write(b"".join(records), separator=b"")

    def close(self) -> None:
        """See :class:`wherry.logs.driver.LogDriver`."""
        self._file.close()

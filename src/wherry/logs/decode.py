"""Bytes of a log file → entries, and where the last n records of a file begin."""

import json
import os
import re
from typing import Protocol

from wherry.logs.entry import Entry
from wherry.logs.local import decode_body, iterate_bodies

_BLOCK = 64 << 10
# The common record: nothing escaped in the text but the newline at its end.
_PLAIN = re.compile(rb'\{"log":"([^"\\]*)(\\n)?","stream":"(stdout|stderr)","time":"([^"\\]+)"\}')


class Decoder(Protocol):
    """One file format."""

    def entries(self, data: bytes) -> tuple[list[Entry], int]:
        """The whole records of ``data`` and how many bytes they took. A damaged record is skipped."""

    def tail_offset(self, fd: int, size: int, count: int) -> tuple[int, int]:
        """Where the last ``count`` records below ``size`` begin, and how many there are (fewer when the file has
        fewer)."""


class JsonFileDecoder:
    """Docker's json-file."""

    def entries(self, data: bytes) -> tuple[list[Entry], int]:
        """See :class:`Decoder`."""
        end = data.rfind(b"\n") + 1
        found: list[Entry] = []
        for line in data[: end - 1].split(b"\n") if end else ():
            plain = _PLAIN.fullmatch(line)
            if plain is not None:
                text = plain[1] + b"\n" if plain[2] else plain[1]
                found.append(Entry(plain[4].decode(), plain[3].decode(), text))
                continue
            try:
                record = json.loads(line)
                found.append(Entry(record["time"], record["stream"], record["log"].encode(errors="replace")))
            except (ValueError, KeyError, TypeError, AttributeError):
                continue  # cut off by a full disk or a power failure: the lines around it are still good
        return found, end

    def tail_offset(self, fd: int, size: int, count: int) -> tuple[int, int]:
        """See :class:`Decoder`."""
        if count <= 0:
            return size, 0
        position, seen = size, -1  # the newline that ends the last record is not a boundary before one
        while position > 0:
            start = max(0, position - _BLOCK)
            block = os.pread(fd, position - start, start)
            newlines = block.count(b"\n")
            if seen + newlines >= count:
                at = len(block)
                for _ in range(count - seen):
                    at = block.rfind(b"\n", 0, at)
                return start + at + 1, count
            seen += newlines
            position = start
        return 0, max(0, seen + 1)


class LocalDecoder:
    """Docker's local driver."""

    def entries(self, data: bytes) -> tuple[list[Entry], int]:
        """See :class:`Decoder`."""
        found: list[Entry] = []
        consumed = 0
        for body, consumed in iterate_bodies(data):  # noqa: B007 - the last offset is the result
            try:
                stream, time_ns, line, partial = decode_body(body)
            except (ValueError, IndexError):
                continue  # see JsonFileDecoder
            found.append(Entry.from_ns(time_ns, stream, line if partial else line + b"\n"))
        return found, consumed

    def tail_offset(self, fd: int, size: int, count: int) -> tuple[int, int]:
        """See :class:`Decoder`."""
        position, seen = size, 0
        while seen < count and position >= 8:
            length = int.from_bytes(os.pread(fd, 4, position - 4), "big")
            if length + 8 > position:
                break
            position -= length + 8
            seen += 1
        return position, seen


def decoder(driver: str) -> Decoder:
    """The decoder of a readable driver."""
    return LocalDecoder() if driver == "local" else JsonFileDecoder()

"""The events of the past, on disk: ``since`` and ``until`` hold across engines, crashes and upgrades.

<data_root>/events/<time of the first event in ns, 20 digits>.jsonl   one event a line, oldest first

Only appended to, by the engine that holds the data root's lock. A line is in the page cache when ``append`` returns
and is never synced: a killed engine loses none, a power cut the last seconds (no container waits for a disk). What
a power cut tears is cut off at the next start, a line that is not JSON is passed over. Old segments go whole.
"""

import os
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from wherry.log import get_logger

_logger = get_logger(__name__)

# A bound is kept to within one part of so many.
_PARTS = 8
_SUFFIX = ".jsonl"
_TAIL_BYTES = 64 << 10


class Line(msgspec.Struct, omit_defaults=True):
    """One line. ``told_ns``: when a monitor says that it happened, 0 for what the engine itself did."""

    event: dict[str, Any]
    told_ns: int = 0


class Journal:
    """``append`` by one thread at a time; ``read`` and ``tail`` by any. The bounds are on all segments together."""

    def __init__(self, directory: str, *, max_size_bytes: int, max_age_seconds: float) -> None:
        self._directory = directory
        self._segment_bytes = max(max_size_bytes // _PARTS, 4096)
        self._max_size_bytes = max_size_bytes
        self._max_age_ns = int(max_age_seconds * 1e9)
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(Line)
        self._fd = -1
        self._size = 0
        self._first_ns = 0
        self._failing = False
        os.makedirs(directory, mode=0o700, exist_ok=True)
        segments = self._segments()
        if segments:
            self._open(segments[-1], os.O_RDWR)
            self._size = _cut_torn_line(self._fd)
        self._drop_old()

    def append(self, event: dict[str, Any], told_ns: int = 0) -> None:
        """Write an event (its ``timeNano`` is above every earlier one's). A full disk is logged, not raised: what
        happened has happened."""
        data = self._encoder.encode(Line(event, told_ns)) + b"\n"
        try:
            self._make_room(len(data), event["timeNano"])
            written = os.write(self._fd, data)
            if written < len(data):
                os.ftruncate(self._fd, self._size)
                raise OSError(0, "short write")
        except OSError as exc:
            if not self._failing:
                _logger.warning("write events to %s: %s", self._directory, exc.strerror)
            self._failing = True
            return
        self._failing = False
        self._size += written

    def read(self, since_ns: int, until_ns: int | None = None) -> Iterator[dict[str, Any]]:
        """The events of that time (both ends included, Unix ns), oldest first."""
        until_ns = 1 << 63 if until_ns is None else until_ns
        segments = self._segments()
        for index, first_ns in enumerate(segments):
            if first_ns > until_ns:
                return
            if index + 1 < len(segments) and segments[index + 1] <= since_ns:
                continue
            try:
                file = open(self._path(first_ns), "rb")
            except FileNotFoundError:
                continue  # became too old while an earlier one was read
            with file:
                for data in file:
                    event = self._decode(data)
                    if event is None or event.event["timeNano"] < since_ns:
                        continue
                    if event.event["timeNano"] > until_ns:
                        return
                    yield event.event

    def tail(self, window_ns: int) -> list[Line]:
        """The last event and those at most ``window_ns`` before it (as far as the last 64 KiB go), oldest first."""
        found: list[Line] = []
        for first_ns in reversed(self._segments()):
            with open(self._path(first_ns), "rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _TAIL_BYTES))
                for data in reversed(file.read().splitlines(keepends=True)):
                    line = self._decode(data)
                    if line is None:
                        continue
                    if found and line.event["timeNano"] < found[0].event["timeNano"] - window_ns:
                        return found[::-1]
                    found.append(line)
            if found:
                break
        return found[::-1]

    def close(self) -> None:
        """Close the segment; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _decode(self, data: bytes) -> Line | None:
        if not data.endswith(b"\n"):
            return None  # being written, or torn
        try:
            line = self._decoder.decode(data)
        except msgspec.MsgspecError:
            return None  # torn by a power cut
        return line if isinstance(line.event.get("timeNano"), int) else None

    def _segments(self) -> list[int]:
        names = [name for name in os.listdir(self._directory) if name.endswith(_SUFFIX)]
        return sorted(int(name[: -len(_SUFFIX)]) for name in names if name[: -len(_SUFFIX)].isdigit())

    def _path(self, first_ns: int) -> str:
        return f"{self._directory}/{first_ns:020}{_SUFFIX}"

    def _open(self, first_ns: int, flags: int) -> None:
        fd = os.open(self._path(first_ns), flags | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self.close()
        self._fd, self._first_ns = fd, first_ns

    def _make_room(self, size: int, now_ns: int) -> None:
        aged = self._max_age_ns and now_ns - self._first_ns > self._max_age_ns // _PARTS
        if self._fd < 0 or self._size + size > self._segment_bytes or aged:
            self._open(now_ns, os.O_WRONLY | os.O_CREAT)
            self._size = 0
            self._drop_old()

    def _drop_old(self) -> None:
        segments = self._segments()
        total = sum(os.stat(self._path(first_ns)).st_size for first_ns in segments)
        oldest_ns = time.time_ns() - self._max_age_ns if self._max_age_ns else 0
        for first_ns, next_ns in pairwise(segments):
            # The next one may fill up before this is looked at again.
            if total + self._segment_bytes <= self._max_size_bytes and next_ns >= oldest_ns:
                return
            total -= os.stat(self._path(first_ns)).st_size
            os.unlink(self._path(first_ns))


def _cut_torn_line(fd: int) -> int:
    """Truncate after the last whole line; the size then."""
    size = os.fstat(fd).st_size
    while size:
        start = max(0, size - _TAIL_BYTES)
        end = os.pread(fd, size - start, start).rfind(b"\n")
        if end >= 0:
            size = start + end + 1
            break
        size = start
    os.ftruncate(fd, size)
    return size

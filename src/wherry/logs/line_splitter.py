"""Chunks of a byte stream → lines of at most 16 KiB, cut where Docker's copier cuts them.

moby ``daemon/logger/copier.go``: a buffer of 16 KiB; what fills it without a newline goes out as a partial
message, whose text has no newline of its own.
"""

PARTIAL_BYTES = 16 << 10


class LineSplitter:
    """One stream. ``feed`` gives runs: ``(bytes, False)`` is one or more whole lines with their newlines,
    ``(bytes, True)`` a piece of a longer line."""

    def __init__(self) -> None:
        self._pending = b""

    def feed(self, chunk: bytes) -> list[tuple[bytes, bool]]:
        """Take a chunk; what is not a whole line yet is kept."""
        data = self._pending + chunk if self._pending else chunk
        end = len(data)
        runs: list[tuple[bytes, bool]] = []
        start = run = 0
        while end - start >= PARTIAL_BYTES:
            newline = data.rfind(b"\n", start, start + PARTIAL_BYTES)
            if newline >= 0:
                start = newline + 1
                continue
            if run < start:
                runs.append((data[run:start], False))
            run = start + PARTIAL_BYTES
            runs.append((data[start:run], True))
            start = run
        last = data.rfind(b"\n", start) + 1
        if last > 0:
            start = last
        if run < start:
            runs.append((data[run:start], False))
        self._pending = data[start:]
        return runs

    def end(self) -> bytes:
        """The unfinished last line (a partial one), empty when there is none."""
        pending, self._pending = self._pending, b""
        return pending

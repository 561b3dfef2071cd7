"""Docker's framed output ("stdcopy"): ``[stream, 0, 0, 0, length big-endian 32 bit]`` before each piece.

Source: Engine API, "Attach to a container", stream format. Without a terminal stdout and stderr share one
connection this way; with one the stream is raw.
"""

from wherry.client.errors import ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

STDIN, STDOUT, STDERR, SYSTEM_ERROR = 0, 1, 2, 3
_HEADER = 8


class Demultiplexer:
    """Feed it bytes as they come; it gives ``(stream, piece)`` pairs without waiting for whole frames."""

    __slots__ = ("_header", "_left", "_stream")

    def __init__(self) -> None:
        self._header = b""
        self._left = 0
        self._stream = STDOUT

    def feed(self, data: bytes) -> "Iterator[tuple[int, bytes]]":
        position = 0
        end = len(data)
        while position < end:
            if self._left:
                piece = data[position : position + self._left]
                position += len(piece)
                self._left -= len(piece)
                yield self._stream, piece
                continue
            wanted = _HEADER - len(self._header)
            self._header += data[position : position + wanted]
            position += wanted
            if len(self._header) == _HEADER:
                self._stream = self._header[0]
                if self._stream > SYSTEM_ERROR or self._header[1:4] != b"\0\0\0":
                    raise ConnectionLost(f"Unrecognized input header: {self._stream}")
                self._left = int.from_bytes(self._header[4:], "big")
                self._header = b""


def demultiplex(chunks: "Iterable[bytes]") -> "Iterator[tuple[int, bytes]]":
    """``(stream, piece)`` for every piece of a framed body."""
    frames = Demultiplexer()
    for data in chunks:
        yield from frames.feed(data)

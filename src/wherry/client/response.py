"""An answer: status, headers and a body framed by length, by chunks, by nothing, or by the connection's end."""

from wherry.client import json_codec
from wherry.client.errors import ConnectionLost

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from wherry.client.connection import Connection


class Response:
    """The head is read; the body is read by exactly one of the methods below.

    ``release`` gets the connection back once the body has ended and the connection can be used again.
    """

    __slots__ = ("_left", "_release", "chunked", "connection", "headers", "reason", "status")

    def __init__(
        self,
        connection: "Connection",
        status: int,
        reason: str,
        headers: dict[str, str],
        *,
        bodiless: bool,
        release: "Callable[[Connection], None] | None",
    ) -> None:
        self.connection: Connection | None = connection
        self.status = status
        self.reason = reason
        self.headers = headers
        self.chunked = headers.get("transfer-encoding", "").lower().endswith("chunked")
        self._release = release if headers.get("connection", "").lower() != "close" else None
        self._left: int | None = None
        if bodiless or status in (101, 204, 304):
            self.chunked = False
            self._left = 0
        elif self.chunked:
            self._left = 0
        elif "content-length" in headers:
            self._left = int(headers["content-length"])
        if self._left == 0 and not self.chunked and status != 101:
            self._finish()

    def chunks(self) -> "Iterator[bytes]":
        """The body in pieces as they arrive."""
        while data := self.read_some():
            yield data

    def read_some(self) -> bytes:
        """The next piece of the body; empty at its end. Raises ConnectionLost if it is cut short."""
        if self.connection is None:
            return b""
        try:
            return self._read_some(self.connection)
        except ConnectionLost:
            self.close()
            raise

    def _read_some(self, connection: "Connection") -> bytes:
        if self.chunked and self._left == 0:
            self._left = self._next_chunk(connection)
            if self._left == 0:
                self._finish()
                return b""
        data = connection.read_some() if self._left is None else connection.read_some(min(self._left, 64 << 10))
        if not data:
            if self._left is not None:
                raise ConnectionLost("read the engine's answer: unexpected EOF")
            self.close()
            return b""
        if self._left is not None:
            self._left -= len(data)
            if self._left == 0:
                if self.chunked:
                    connection.read_line()
                else:
                    self._finish()
        return data

    def _next_chunk(self, connection: "Connection") -> int:
        size = connection.read_line().split(b";")[0].strip()
        try:
            length = int(size, 16)
        except ValueError as exc:
            raise ConnectionLost(f"read the engine's answer: invalid chunk size {size!r}") from exc
        if length == 0:
            while connection.read_line():
                pass  # trailers: none is of interest
        return length

    def read(self) -> bytes:
        """The whole body."""
        return b"".join(self.chunks())

    def json(self) -> "Any":
        """The whole body as JSON; None if it is empty."""
        body = self.read()
        return json_codec.loads(body) if body.strip() else None

    def lines(self) -> "Iterator[bytes]":
        """The body's lines, without their ends, as they arrive."""
        pending = b""
        for data in self.chunks():
            *whole, pending = (pending + data).split(b"\n")
            yield from whole
        if pending:
            yield pending

    def json_lines(self) -> "Iterator[dict[str, Any]]":
        """A stream of JSON objects, one a line (progress, events, stats)."""
        for line in self.lines():
            if line.strip():
                yield json_codec.loads(line)

    def _finish(self) -> None:
        connection, self.connection = self.connection, None
        if connection is None:
            return
        if self._release is not None:
            self._release(connection)
        else:
            connection.close()

    def close(self) -> None:
        """Drop the rest of the body, and the connection with it."""
        connection, self.connection = self.connection, None
        if connection is not None:
            connection.close()

    def detach(self) -> "Connection":
        """The connection itself, for a stream that has left HTTP (101, or 200 with a raw stream)."""
        connection, self.connection = self.connection, None
        if connection is None:
            raise ConnectionLost("the engine closed the stream before it began")
        return connection

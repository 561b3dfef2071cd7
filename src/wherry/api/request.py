"""What a route sees: one request, and the three ways to answer it (whole, streamed, hijacked)."""

import io
import re
import socket
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import unquote_to_bytes

import h11

from wherry.api.connection import Connection
from wherry.api.disconnect import Disconnect, DisconnectWatcher
from wherry.api.errors import PayloadTooLarge
from wherry.api.query import Query
from wherry.api.response import JSON, RAW_STREAM, Headers, Response
from wherry.errors import InvalidParameter

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

T = TypeVar("T")

ApiVersion = tuple[int, int]

_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


class Request:
    """One request. ``path`` is decoded once; the router sets ``params`` (from the path) and ``version``."""

    def __init__(self, head: h11.Request, connection: Connection, watcher: DisconnectWatcher) -> None:
        self.method = head.method.decode("ascii")
        self.headers: Mapping[str, str] = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        target, _, query = head.target.decode("latin-1").partition("?")
        self.path = decode_path(target)
        self.query = Query(query)
        self.params: Mapping[str, str] = {}
        self.version: ApiVersion = (0, 0)
        self.started = False
        self.ended = False
        self.hijacked = False
        self._connection = connection
        self._watcher = watcher
        self._disconnect: Disconnect | None = None

    # -- the body

    def body(self) -> io.BufferedReader:
        """The body as a stream; nothing is kept of what was read."""
        return io.BufferedReader(_BodyReader(self._connection), buffer_size=256 << 10)

    def has_body(self) -> bool:
        """Whether the request declares a body that is not empty."""
        return "transfer-encoding" in self.headers or self.headers.get("content-length", "0").strip("0") != ""

    def json_body(self) -> bytes:
        """The whole body of a JSON request, ``b""`` if there is none (moby ``httputils.ReadJSON``).

        Raises InvalidParameter for another content type, PayloadTooLarge, RequestTimeout.
        """
        if not self.has_body():
            return b""
        content_type = self.headers.get("content-type", "")
        if content_type.partition(";")[0].strip().lower() != JSON:
            raise InvalidParameter(
                f"unsupported Content-Type header ({content_type}): must be 'application/json'",
            )
        limits = self._connection.limits
        declared = self.headers.get("content-length", "0")
        if int(declared) > limits.json_bytes:
            raise PayloadTooLarge("http: request body too large")
        deadline = time.monotonic() + limits.json_seconds
        body = bytearray()
        while data := self._connection.receive_body(deadline=deadline):
            body += data
            if len(body) > limits.json_bytes:
                raise PayloadTooLarge("http: request body too large")
        if not body.strip():
            raise InvalidParameter("invalid JSON: got EOF while reading request body")
        return bytes(body)

    # -- the answer

    def respond(self, response: Response) -> None:
        """Send a whole answer."""
        self.started = self.ended = True
        headers = response.headers
        if response.content_type:
            headers = (("Content-Type", response.content_type), *headers)
        if response.status not in (204, 304):
            headers = (*headers, ("Content-Length", str(len(response.body))))
        body = b"" if self.method == "HEAD" else response.body
        self._connection.send_whole(response.status, headers, body)

    def stream(self, content_type: str, *, headers: Headers = (), status: int = 200) -> "ResponseStream":
        """Answer piece by piece. Nothing is sent before the first write, so an early error is a plain error."""
        return ResponseStream(self, self._connection, status, (("Content-Type", content_type), *headers))

    @property
    def upgrade(self) -> bool:
        """Whether the client asks for ``101 UPGRADED`` instead of a plain 200 before a hijack."""
        return "upgrade" in self.headers

    def hijack(self, content_type: str) -> tuple[socket.socket, bytes]:
        """Turn the connection into a raw stream; returns the socket and the bytes already read from it."""
        while self._connection.receive_body():
            pass  # a body that the route had no use for
        self.started = self.ended = self.hijacked = True
        if self.upgrade:
            headers: Headers = (("Content-Type", content_type), ("Connection", "Upgrade"), ("Upgrade", "tcp"))
            leftover = self._connection.hijack("HTTP/1.1 101 UPGRADED", headers)
        else:
            leftover = self._connection.hijack("HTTP/1.1 200 OK", (("Content-Type", RAW_STREAM),))
        return self._connection.sock, leftover

    def hijack_websocket(self, accept: str) -> tuple[socket.socket, bytes]:
        """Turn the connection into a WebSocket; ``accept`` is the handshake's answer (RFC 6455, 4.2.2)."""
        self.started = self.ended = self.hijacked = True
        headers: Headers = (("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Accept", accept))
        return self._connection.sock, self._connection.hijack("HTTP/1.1 101 Switching Protocols", headers)

    @property
    def disconnected(self) -> Disconnect:
        """Set when the client goes away. Only for routes that have read the body; watched from the first use."""
        if self._disconnect is None:
            self._disconnect = self._watcher.watch(self._connection.sock)
        return self._disconnect

    def release(self) -> None:
        """Stop watching the client; called by the server when the route has returned."""
        if self._disconnect is not None:
            self._watcher.forget(self._connection.sock)


class ResponseStream(io.RawIOBase):
    """The body of a streamed answer; every write is one chunk and is on its way when it returns.

    Raises ClientGone when the client has closed. Wrap it in BufferedWriter for many small writes.
    """

    def __init__(self, request: Request, connection: Connection, status: int, headers: Headers) -> None:
        super().__init__()
        self._request = request
        self._connection = connection
        self._status = status
        self._headers = headers

    def start(self) -> None:
        """Send the head now, before the first piece of the body."""
        if not self._request.started:
            self._request.started = True
            self._connection.send_head(self._status, self._headers)

    def writable(self) -> bool:
        """Always."""
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        """Send one piece; an empty one only starts the answer."""
        self.start()
        view = memoryview(data)
        if view.nbytes and self._request.method != "HEAD":
            self._connection.send_data(view)
        return view.nbytes

    def send(self, data: bytes) -> None:
        """``write`` for those who take a callback."""
        self.write(data)

    def end(self) -> None:
        """Complete the answer; without it the client sees a cut stream."""
        self.start()
        if not self._request.ended:
            self._request.ended = True
            self._connection.send_end()


class _BodyReader(io.RawIOBase):
    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._connection = connection
        self._left = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer", /) -> int:
        if not self._left:
            self._left = memoryview(self._connection.receive_body())
        view = memoryview(buffer).cast("B")
        count = min(len(view), len(self._left))
        view[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def decode_path(target: str) -> str:
    """A request target's path, percent-decoded exactly once (S96). InvalidParameter for NUL and the like."""
    if target[:7].lower() == "http://":
        target = "/" + target[7:].partition("/")[2]
    if not target.startswith("/") and target != "*":
        raise InvalidParameter("invalid request target")
    if _BAD_ESCAPE.search(target):
        raise InvalidParameter("invalid URL escape in request path")
    try:
        path = unquote_to_bytes(target).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise InvalidParameter("invalid UTF-8 in request path") from exc
    if _CONTROL.search(path):
        raise InvalidParameter("invalid control character in request path")
    return path

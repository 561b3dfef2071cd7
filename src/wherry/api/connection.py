"""One client connection: HTTP/1.1 framing by h11 over a blocking socket, with time and size limits.

The socket stays in blocking mode throughout (its file description may be handed to a monitor, which would
inherit O_NONBLOCK); deadlines come from poll(2) before each receive.
"""

import select
import socket
import time
from dataclasses import dataclass
from http import HTTPStatus

import h11

from wherry.api.errors import ClientGone, HeadersTooLarge, RequestTimeout, protocol_error
from wherry.api.response import COMMON_HEADERS, Headers, http_date
from wherry.errors import InvalidParameter

_CHUNK = 64 << 10
_BODY_CHUNK = 256 << 10

_DRAIN_BYTES = 256 << 10
_LINGER_SECONDS = 0.5

_REASONS = {status.value: status.phrase.encode() for status in HTTPStatus}
_COMMON = [(name.encode(), value.encode()) for name, value in COMMON_HEADERS]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may do to the engine (S93, S94)."""

    connections: int = 2048
    head_bytes: int = 32 << 10
    head_seconds: float = 10.0
    idle_seconds: float = 120.0
    json_bytes: int = 4 << 20
    json_seconds: float = 30.0


class Connection:
    """Reads requests from and writes answers to one socket; used by one thread."""

    def __init__(self, sock: socket.socket, limits: Limits) -> None:
        self.sock = sock
        self.limits = limits
        self._h11 = h11.Connection(h11.SERVER, max_incomplete_event_size=limits.head_bytes)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)
        self._received_head = bytearray()
        self._bodiless = False

    # -- requests

    def next_head(self) -> h11.Request | None:
        """The next request's head, or None when the client closed or stayed silent for ``idle_seconds``.

        Raises RequestTimeout, HeadersTooLarge or InvalidParameter; the connection is then only good for one
        last answer.
        """
        # The clock of a head starts with its first byte; bytes of a pipelined request may be here already.
        deadline: float | None = None
        self._received_head = bytearray(self._h11.trailing_data[0])
        while True:
            event = self._next_event()
            if isinstance(event, h11.Request):
                self._bodiless = event.method == b"HEAD"
                self._check_framing(event)
                return event
            if isinstance(event, h11.ConnectionClosed):
                return None
            if event is not h11.NEED_DATA:
                raise InvalidParameter("read request: unexpected data")
            if self._received_head and deadline is None:
                deadline = time.monotonic() + self.limits.head_seconds
            wait = self.limits.idle_seconds if deadline is None else deadline - time.monotonic()
            if not self._readable(wait):
                if deadline is None:
                    return None
                raise RequestTimeout("Request Timeout")
            try:
                data = self.sock.recv(_CHUNK)
            except OSError:
                return None  # reset between requests: nobody to tell
            if not data and not self._received_head:
                return None
            self._received_head += data
            self._h11.receive_data(data)

    def _check_framing(self, request: h11.Request) -> None:
        # h11 merges equal Content-Length headers and prefers Transfer-Encoding; two framings are refused here.
        body_start = len(self._received_head) - len(self._h11.trailing_data[0])
        head = bytes(self._received_head[:body_start]).lower()
        self._received_head.clear()
        if len(head) > self.limits.head_bytes:
            raise HeadersTooLarge("Request Header Fields Too Large")
        lengths = head.count(b"\ncontent-length:")
        if lengths > 1 or (lengths and b"\ntransfer-encoding:" in head):
            raise InvalidParameter("read request: ambiguous message framing")

    def receive_body(self, *, deadline: float | None = None) -> bytes:
        """Some bytes of the current request's body; empty at its end. Sends ``100 Continue`` if it is awaited."""
        while True:
            if self._h11.their_state not in (h11.SEND_BODY, h11.ERROR):
                return b""
            if self._h11.they_are_waiting_for_100_continue:
                self._write(
                    self._h11.send(h11.InformationalResponse(status_code=100, headers=[], reason=b"Continue"))
                )
            event = self._next_event()
            if isinstance(event, h11.Data):
                return bytes(event.data)
            if isinstance(event, h11.EndOfMessage):
                return b""
            if event is not h11.NEED_DATA:
                raise InvalidParameter("read request body: unexpected end")
            if deadline is not None and not self._readable(deadline - time.monotonic()):
                raise RequestTimeout("Request Timeout")
            try:
                data = self.sock.recv(_BODY_CHUNK)
            except OSError as exc:
                raise ClientGone(f"read request body: {exc.strerror}") from exc
            if not data:
                raise ClientGone("read request body: the client closed the connection")
            self._h11.receive_data(data)

    # -- answers

    def send_head(self, status: int, headers: Headers) -> None:
        """Write the status line and headers."""
        self._write(self._head(status, headers))

    def send_whole(self, status: int, headers: Headers, body: bytes) -> None:
        """Write head, body and end in one system call; the answer to HEAD has none, whatever its length says."""
        parts = [self._head(status, headers)]
        if body and not self._bodiless:
            parts.append(self._h11.send(h11.Data(data=body)) or b"")
        parts.append(self._h11.send(h11.EndOfMessage()) or b"")
        self._write(b"".join(parts))

    def send_data(self, data: bytes | bytearray | memoryview) -> None:
        """Write a piece of the body at once, as one chunk."""
        self._write(self._h11.send(h11.Data(data=bytes(data))))

    def send_end(self) -> None:
        """End the body."""
        self._write(self._h11.send(h11.EndOfMessage()))

    def _head(self, status: int, headers: Headers) -> bytes:
        fields = [*_COMMON, (b"Date", http_date().encode())]
        fields += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        response = h11.Response(status_code=status, headers=fields, reason=_REASONS.get(status, b""))
        return self._h11.send(response) or b""

    def finish(self) -> bool:
        """After an answer: read away what is left of the request; False when the connection must close."""
        left = _DRAIN_BYTES
        deadline = time.monotonic() + _LINGER_SECONDS
        try:
            while (
                left > 0
                and self._h11.their_state is h11.SEND_BODY
                and not self._h11.they_are_waiting_for_100_continue
                and (data := self.receive_body(deadline=deadline))
            ):
                left -= len(data)
        except InvalidParameter:
            return False  # slow or malformed rest of a request that has its answer
        if self._h11.their_state is h11.DONE and self._h11.our_state is h11.DONE:
            self._h11.start_next_cycle()
            return True
        return False

    def linger(self) -> None:
        """Close politely: end our side and read for a moment, so that a reset does not overtake the answer."""
        deadline = time.monotonic() + _LINGER_SECONDS
        try:
            self.sock.shutdown(socket.SHUT_WR)
            while self._readable(deadline - time.monotonic()) and self.sock.recv(_BODY_CHUNK):
                pass
        except OSError:
            pass  # the client has closed already, which is what this waits for

    def hijack(self, status_line: str, headers: Headers) -> bytes:
        """Leave HTTP: write the head by hand and return the bytes that came after the request.

        From here on the socket belongs to the caller's protocol, and to whoever it is handed to.
        """
        leftover = bytes(self._h11.trailing_data[0])
        lines = [status_line, *(f"{name}: {value}" for name, value in headers), "", ""]
        self._write("\r\n".join(lines).encode("latin-1"))
        return leftover

    # -- plumbing

    def _next_event(self) -> object:
        try:
            return self._h11.next_event()
        except h11.RemoteProtocolError as exc:
            raise protocol_error(exc) from exc

    def _readable(self, seconds: float) -> bool:
        return bool(self._poll.poll(max(0, int(seconds * 1000))))

    def _write(self, data: bytes | None) -> None:
        if not data:
            return
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise ClientGone(f"write response: {exc.strerror}") from exc

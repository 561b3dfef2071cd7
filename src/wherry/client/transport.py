"""Requests to one engine: HTTP/1.1 by hand over a unix or TCP socket, one idle connection kept for the next.

Paths carry no API version: every engine takes such a path in its own newest version, so a client needs no
round trip to negotiate. Redirects, cookies, proxies and content encodings are out of scope: no engine uses them.
"""

from wherry import __version__
from wherry.client import json_codec
from wherry.client.connection import Connection, connect
from wherry.client.errors import ConnectionFailed, ConnectionLost, error_of_answer
from wherry.client.response import Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from wherry.client.address import Address

    Query = Mapping[str, "str | int | bool | list[str] | Mapping[str, Any] | None"]

_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def quote(text: str, safe: bytes = b"") -> str:
    """Percent-encode for a path segment or a query value (RFC 3986); urllib.parse costs 5 ms."""
    data = text.encode("utf-8", "surrogateescape")
    if all(byte in _UNRESERVED or byte in safe for byte in data):
        return text
    return "".join(chr(byte) if byte in _UNRESERVED or byte in safe else f"%{byte:02X}" for byte in data)


def query_string(query: "Query | None") -> str:
    """``?a=1&b=x``. None is left out, a bool is 1 or 0, a list repeats its name, a mapping is JSON."""
    parts: list[str] = []
    for name, value in (query or {}).items():
        if value is None:
            continue
        if isinstance(value, list):
            parts += [f"{name}={quote(item)}" for item in value]
        elif isinstance(value, bool):
            parts.append(f"{name}={int(value)}")
        elif isinstance(value, (str, int)):
            parts.append(f"{name}={quote(str(value))}")
        else:
            parts.append(f"{name}={quote(json_codec.dumps(value))}")
    return "?" + "&".join(parts) if parts else ""


class Transport:
    """``wake`` starts the engine when nothing listens at the address; the connection is then tried once more."""

    def __init__(self, address: "Address", wake: "Callable[[], None] | None" = None) -> None:
        self.address = address
        self._wake = wake
        self._idle: list[Connection] = []

    def request(
        self,
        method: str,
        path: str,
        *,
        query: "Query | None" = None,
        body: "Any" = None,
        content: "bytes | Iterable[bytes] | None" = None,
        headers: "Mapping[str, str] | None" = None,
        accept_not_modified: bool = False,
    ) -> Response:
        """Send a request and read the answer's head. ``body`` goes as JSON, ``content`` as it is (chunked if
        it is an iterable). Raises the error's kind for a status of 300 and above.
        """
        return self.begin(method, path, query=query, body=body, content=content, headers=headers).answer(
            accept_not_modified=accept_not_modified
        )

    def begin(
        self,
        method: str,
        path: str,
        *,
        query: "Query | None" = None,
        body: "Any" = None,
        content: "bytes | Iterable[bytes] | None" = None,
        headers: "Mapping[str, str] | None" = None,
        upgrade: bool = False,
    ) -> "PendingAnswer":
        """Send a request and return without reading, so that several can be under way at once.

        ``upgrade`` asks for a raw stream in both directions; ``answer().detach()`` gives it.
        """
        lines = [
            f"{method} {path}{query_string(query)} HTTP/1.1",
            "Host: " + (f"{self.address.host}:{self.address.port}" if self.address.host else "wherry"),
            f"User-Agent: wherry/{__version__} (linux)",
        ]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body is not None:
            content = json_codec.dumps(body).encode()
            lines.append("Content-Type: application/json")
        if upgrade:
            lines += ["Connection: Upgrade", "Upgrade: tcp"]
        if isinstance(content, bytes):
            lines.append(f"Content-Length: {len(content)}")
        elif content is not None:
            lines.append("Transfer-Encoding: chunked")
        elif method in ("POST", "PUT"):
            lines.append("Content-Length: 0")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode("utf-8", "surrogateescape")
        complete = True
        if content is None or isinstance(content, bytes):
            connection, message = self._send(
                head + (content or b""), fresh=upgrade, repeatable=method in ("GET", "HEAD")
            )
        else:
            # A stream cannot be sent twice, so it never goes over a kept connection that may be dead.
            connection, message = self._send(head, fresh=True)
            complete = _send_chunked(connection, content)
        return PendingAnswer(self, connection, method, message, complete=complete)

    def _send(self, message: bytes, *, fresh: bool, repeatable: bool = False) -> "tuple[Connection, bytes | None]":
        """The connection that the message went out on, and the message if it may have to be sent again."""
        while not fresh:
            try:
                connection = self._idle.pop()
            except IndexError:  # none left; asked this way because several threads may send
                break
            try:
                connection.send(message)
            except ConnectionLost:
                connection.close()
                continue
            return connection, message if repeatable else None
        connection = self.open()
        connection.send(message)
        return connection, None

    def open(self) -> Connection:
        """A new connection, waking the engine if there is none."""
        try:
            return connect(self.address)
        except ConnectionFailed:
            if self._wake is None:
                raise
            self._wake()
            return connect(self.address)

    def keep(self, connection: Connection) -> None:
        """Take back a connection whose answer is complete."""
        if len(self._idle) < 4:
            self._idle.append(connection)
        else:
            connection.close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


class PendingAnswer:
    """A request that is sent. ``answer`` reads the head; without it ``abandon`` drops the connection."""

    __slots__ = ("_complete", "_connection", "_message", "_method", "_transport")

    def __init__(
        self, transport: Transport, connection: Connection, method: str, message: bytes | None, *, complete: bool
    ) -> None:
        self._transport = transport
        self._connection = connection
        self._method = method
        self._message = message
        self._complete = complete

    def answer(self, *, accept_not_modified: bool = False) -> Response:
        """Read the head. Raises the error's kind for a status of 300 and above."""
        try:
            status, reason, headers = _read_head(self._connection)
        except ConnectionLost:
            self._connection.close()
            if self._message is None:
                raise
            # A kept connection that the engine has closed meanwhile (idle exit), and a request that may be repeated.
            self._connection = self._transport.open()
            self._connection.send(self._message)
            self._message = None
            status, reason, headers = _read_head(self._connection)
        except BaseException:
            self._connection.close()
            raise
        response = Response(
            self._connection,
            status,
            reason,
            headers,
            bodiless=self._method == "HEAD",
            # After half a request the next one would be read as the rest of it.
            release=self._transport.keep if self._complete else None,
        )
        if status == 304 and accept_not_modified:
            return response
        if status >= 300:
            raise error_of_answer(status, reason, response.read())
        return response

    def abandon(self) -> None:
        self._connection.close()


def _read_head(connection: Connection) -> tuple[int, str, dict[str, str]]:
    while True:
        line = connection.read_line().decode("latin-1")
        version, _, rest = line.partition(" ")
        code, _, reason = rest.partition(" ")
        if not version.startswith("HTTP/1.") or not code.isdigit():
            raise ConnectionLost(f"read the engine's answer: not HTTP: {line[:80]!r}")
        headers: dict[str, str] = {}
        while field := connection.read_line():
            name, _, value = field.decode("utf-8", "surrogateescape").partition(":")
            headers[name.strip().lower()] = value.strip()
        if int(code) != 100:
            return int(code), reason, headers


def _send_chunked(connection: Connection, content: "Iterable[bytes]") -> bool:
    """Send a body of unknown length. False if the engine stopped reading: its answer, which says why, waits."""
    try:
        for data in content:
            if data:
                connection.send(b"%x\r\n%b\r\n" % (len(data), data))
        connection.send(b"0\r\n\r\n")
    except ConnectionLost:
        return False
    except BaseException:
        connection.close()  # the source failed: what was sent must not look complete
        raise
    return True

"""A small HTTP/1.1 server on a unix socket that answers as it is told: the transport's peer in the tests.

It speaks for real (framing, keep-alive, upgrade, half-close); only the answers are made up.
"""

import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Request:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    sock: socket.socket

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    def document(self) -> Any:
        return json.loads(self.body)

    def raw(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: int, document: object = None, *, text: bytes | None = None) -> None:
        """A whole answer with a length."""
        body = text if text is not None else b"" if document is None else json.dumps(document).encode()
        self.raw(b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%b" % (status, len(body), body))

    def chunked_head(self, status: int = 200) -> None:
        self.raw(b"HTTP/1.1 %d OK\r\nTransfer-Encoding: chunked\r\n\r\n" % status)

    def chunk(self, data: bytes) -> None:
        self.raw(b"%x\r\n%b\r\n" % (len(data), data))

    def upgrade(self) -> None:
        self.raw(b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")


Handler = Callable[[Request], object]


@dataclass
class FakeEngine:
    """``handler`` gets each request; if it returns False the connection is closed."""

    path: str
    handler: Handler
    requests: list[Request] = field(default_factory=list)
    connections: int = 0

    def __post_init__(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(16)
        self._threads: list[threading.Thread] = []
        self._sockets: list[socket.socket] = []
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    @property
    def host(self) -> str:
        return f"unix://{self.path}"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(sock)
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        stream = sock.makefile("rb")
        try:
            while line := stream.readline():
                method, target, _ = line.decode().split()
                headers: dict[str, str] = {}
                while raw := stream.readline().strip():
                    name, _, value = raw.decode().partition(":")
                    headers[name.lower()] = value.strip()
                if headers.get("transfer-encoding") == "chunked":
                    body = b""
                    while size := int(stream.readline(), 16):
                        body += stream.read(size)
                        stream.readline()
                    stream.readline()
                else:
                    body = stream.read(int(headers.get("content-length", "0")))
                request = Request(method, target, headers, body, sock)
                self.requests.append(request)
                if self.handler(request) is False:
                    return
        except OSError:
            return  # the client has gone
        finally:
            stream.close()
            sock.close()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._accepting.join(5)
        for sock in self._sockets:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # closed already
        for thread in self._threads:
            thread.join(5)

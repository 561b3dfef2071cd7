"""A server with small routes that work, on a unix socket and on loopback TCP, and a raw client."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from wherry.api.connection import Limits
from wherry.api.http_server import ApiServer
from wherry.api.request import Request
from wherry.api.response import RAW_STREAM, Response, json_response, text_response
from wherry.api.router import Route, Router
from wherry.api.streams import JsonStream, progress_stream
from wherry.errors import Conflict, NotFound, NotModified


@dataclass
class Log:
    """What the routes saw."""

    gone: threading.Event
    uploaded: int = 0


def _ping(_: Log, request: Request) -> Response:
    return text_response("" if request.method == "HEAD" else "OK")


def _echo_json(_: Log, request: Request) -> Response:
    return Response(200, request.json_body(), "application/json")


def _name(_: Log, request: Request) -> Response:
    return json_response(dict(request.params))


def _upload(log: Log, request: Request) -> Response:
    body = request.body()
    while piece := body.read(1 << 18):
        log.uploaded += len(piece)
    return json_response({"bytes": log.uploaded})


def _refuse_upload(_: Log, request: Request) -> Response:
    raise Conflict("no room for it")


def _error(_: Log, request: Request) -> Response:
    kind = request.params["kind"]
    if kind == "bug":
        raise ZeroDivisionError("division by zero")
    raise {"missing": NotFound("No such container: x"), "same": NotModified("as it is")}[kind]


def _follow(log: Log, request: Request) -> None:
    with JsonStream(request) as stream:
        stream.start()
        request.disconnected.wait(30)
        if request.disconnected.is_set():
            log.gone.set()


def _watched(_: Log, request: Request) -> Response:
    return json_response({"gone": request.disconnected.is_set()})


def _count(_: Log, request: Request) -> None:
    with progress_stream(request) as stream:
        for number in range(3):
            stream.write({"status": str(number)})
        if request.query.flag("fail"):
            raise Conflict("half way")


def _fail_early(_: Log, request: Request) -> None:
    with progress_stream(request):
        raise NotFound("nothing to send")


def _shout(_: Log, request: Request) -> None:
    """Hijacks and answers in upper case until the client's half-close, then says how much it was."""
    sock, leftover = request.hijack(RAW_STREAM)
    total = 0
    data = leftover or sock.recv(4096)
    while data:
        total += len(data)
        sock.sendall(data.upper())
        data = sock.recv(4096)
    sock.sendall(f"\n{total} bytes".encode())


ROUTES: tuple[Route[Log], ...] = (
    Route("GET", "/_ping", _ping),
    Route("HEAD", "/_ping", _ping),
    Route("POST", "/echo", _echo_json),
    Route("GET", "/containers/{id}/json", _name),
    Route("GET", "/images/{name:path}/json", _name),
    Route("PUT", "/upload", _upload),
    Route("PUT", "/refuse", _refuse_upload),
    Route("GET", "/error/{kind}", _error),
    Route("GET", "/follow", _follow),
    Route("GET", "/watched", _watched),
    Route("POST", "/count", _count),
    Route("POST", "/early", _fail_early),
    Route("POST", "/shout", _shout),
)


@dataclass
class Served:
    """A running server, what its routes saw, and where it listens."""

    server: ApiServer
    log: Log
    path: str
    port: int

    def connect(self, *, tcp: bool = False) -> socket.socket:
        """A raw connection with a time-out."""
        client = socket.socket(socket.AF_INET if tcp else socket.AF_UNIX)
        client.settimeout(20)
        client.connect(("127.0.0.1", self.port) if tcp else self.path)
        return client

    def ask(self, data: bytes, *, tcp: bool = False) -> bytes:
        """Send ``data``, read until the server closes or is silent at the end of an answer."""
        with self.connect(tcp=tcp) as client:
            client.sendall(data)
            return read_answer(client)


def read_answer(client: socket.socket) -> bytes:
    """One answer that has a Content-Length, or everything until the end."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece:
            return data
        data += piece
    head, _, rest = data.partition(b"\r\n\r\n")
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            length = int(line.partition(b":")[2])
            while len(rest) < length and (piece := client.recv(65536)):
                rest += piece
            return head + b"\r\n\r\n" + rest
    if b" 204 " in head or b" 304 " in head:
        return data
    while piece := client.recv(65536):
        data += piece
    return data


@contextmanager
def serving(directory: Path, limits: Limits | None = None) -> Iterator[Served]:
    """Run a server until the block ends; fails when one of its threads stays."""
    log = Log(threading.Event())
    router = Router()
    router.add(log, ROUTES)
    server = ApiServer(router, limits=limits, allowed_hosts=("engine.example",))
    path = str(directory / "s")
    with socket.socket(socket.AF_UNIX) as unix, socket.socket(socket.AF_INET) as tcp:
        unix.bind(path)
        unix.listen(1024)
        tcp.bind(("127.0.0.1", 0))
        tcp.listen(128)
        threads = [threading.Thread(target=server.serve, args=(listener,)) for listener in (unix, tcp)]
        for thread in threads:
            thread.start()
        try:
            yield Served(server, log, path, tcp.getsockname()[1])
        finally:
            server.close()
            for thread in threads:
                thread.join(5)
                assert not thread.is_alive()
            assert server.drain(5), "a connection's thread did not end"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """A server with the usual limits."""
    with serving(tmp_path) as running:
        yield running

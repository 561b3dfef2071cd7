"""HTTP to one origin: connections kept alive, TLS, proxies, time-outs, redirects followed under rules.

Out of scope: what the requests mean, and retries. Thread-safe: a connection serves one answer at a time and
goes back to the pool when its body has been read to the end.

Redirects (S09): at most ten, never from https to http, ``Authorization`` only to the origin it was meant
for, and never to a link-local address, nor to loopback for a registry that is not on loopback. The address
is checked on the connected socket, so a name that resolves differently the second time gains nothing.
"""

import http.client
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from wherry.registry.dial import USER_AGENT, check_address, dial, proxy_for, ssl_context, tunnel
from wherry.registry.endpoints import Endpoint, split_host
from wherry.registry.errors import MAX_ERROR_BYTES, ConnectionFailed, RegistryForbidden, from_network
from wherry.registry.origin import PORTS, Origin, join_url, parse_url

MAX_REDIRECTS: Final = 10
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})
_IDLE_PER_ORIGIN: Final = 8
_PROBE_SECONDS: Final = 3.0


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. ``stall`` is the longest silence in the middle of an answer, or of a body that we send;
    ``settle`` the longest one between such a body and its answer: a registry may move what it was sent."""

    connect: float = 15.0
    stall: float = 30.0
    settle: float = 300.0


@dataclass(frozen=True, slots=True)
class Body:
    """What a request sends: ``size_bytes`` bytes, from the beginning again each time ``open`` is called."""

    size_bytes: int
    open: Callable[[], Iterator[bytes]]


class Response:
    """An answer whose body is still to be read. A context manager; leaving it early drops the connection."""

    def __init__(self, raw: http.client.HTTPResponse, connection: http.client.HTTPConnection, url: str) -> None:
        self._raw = raw
        self._connection = connection
        self._missing = None if raw.chunked else raw.length
        self.pooled: tuple[Transport, Origin] | None = None
        self.url = url
        self.status = raw.status
        self.content_length = self._missing
        """As announced; None for a chunked or unbounded body."""

    def header(self, name: str) -> str:
        """A header's value, empty when absent."""
        return self._raw.getheader(name) or ""

    def read(self, size: int) -> bytes:
        """What has arrived, at most ``size`` bytes; empty at the end, early or not. Raises ConnectionFailed."""
        if self._missing is not None:  # Python before 3.11.8 does not count what read1() has given
            size = min(size, self._missing)
            if size == 0:
                self._raw.close()
                return b""
        try:
            data = self._raw.read1(size)
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise from_network(exc, url=self.url, host="") from exc
        if self._missing is not None and data:
            self._missing -= len(data)
            if self._missing == 0:
                self._raw.close()
        return data

    def read_all(self, limit_bytes: int) -> bytes:
        """The whole body, cut after ``limit_bytes`` + 1 bytes so that the caller can see it was too long."""
        parts: list[bytes] = []
        missing = limit_bytes + 1
        while missing and (part := self.read(min(missing, 1 << 20))):
            parts.append(part)
            missing -= len(part)
        return b"".join(parts)

    def abort(self) -> None:
        """From another thread: make a blocked ``read`` fail now."""
        sock = self._connection.sock
        if sock is not None:
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # the connection is gone already, which is what was wanted

    def __enter__(self) -> "Response":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the connection back when its answer has been read to the end, else drop it."""
        if self.pooled is not None and self._raw.isclosed() and not self._missing and not self._raw.will_close:
            transport, origin = self.pooled
            transport.put_back(origin, self._connection)
        else:
            self._raw.close()
            self._connection.close()


class Transport:
    """Connections for one endpoint and whatever it redirects to."""

    def __init__(self, endpoint: Endpoint, timeouts: Timeouts | None = None) -> None:
        self.endpoint = endpoint
        self._timeouts = timeouts or Timeouts()
        self._lock = threading.Lock()
        self._idle: dict[Origin, list[http.client.HTTPConnection]] = {}
        self._scheme: str | None = endpoint.schemes[0] if len(endpoint.schemes) == 1 else None
        self._contexts: dict[bool, ssl.SSLContext] = {}

    @property
    def origin(self) -> Origin | None:
        """Where the endpoint turned out to be; None before the first answer of a host with two schemes."""
        return self._origin(self._scheme) if self._scheme else None

    def request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        *,
        authorization: str = "",
        body: Body | None = None,
    ) -> Response:
        """Send a request to the endpoint and follow redirects. ``path`` begins with ``/v2/``.

        Tries https, then http where the endpoint allows it, and remembers what answered. Raises
        ConnectionFailed, RegistryForbidden.
        """
        last: ConnectionFailed | None = None
        for scheme in (self._scheme,) if self._scheme else self.endpoint.schemes:
            try:
                origin = self._origin(scheme)
                response = self._follow(
                    method, origin, self.endpoint.prefix + path, headers, authorization, home=origin, body=body
                )
            except ConnectionFailed as exc:
                # Of two refusals Docker tells the last one; another failure says more than a refusal.
                if last is None or not _refused(exc) or _refused(last):
                    last = exc
                continue
            self._scheme = scheme
            return response
        assert last is not None
        raise last

    def request_location(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        *,
        authorization: str = "",
        body: Body | None = None,
    ) -> Response:
        """A request to a URL that the endpoint gave for an upload. The rules are those of redirects (S09)."""
        origin, path = parse_url(url)
        home = self.origin
        assert home is not None, "the endpoint has answered before"
        if home.scheme == "https" and origin.scheme != "https":
            raise RegistryForbidden(f"refuse upload from {home} to {origin}: https to http")
        return self._follow(method, origin, path, headers, authorization, home=home, body=body)

    def request_url(
        self, method: str, url: str, headers: Mapping[str, str], *, body: bytes | None = None
    ) -> Response:
        """A request to another origin on the endpoint's word, such as its token server; no redirects."""
        origin, path = parse_url(url)
        return self._send(method, origin, path, headers, body, foreign=not self._is_own(origin))

    def put_back(self, origin: Origin, connection: http.client.HTTPConnection) -> None:
        """Keep a connection whose answer has been read to the end."""
        with self._lock:
            idle = self._idle.setdefault(origin, [])
            if len(idle) < _IDLE_PER_ORIGIN:
                idle.append(connection)
                return
        connection.close()

    def close(self) -> None:
        """Close every idle connection."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for connections in idle.values():
            for connection in connections:
                connection.close()

    def _origin(self, scheme: str) -> Origin:
        return Origin(scheme, *split_host(self.endpoint.host, PORTS[scheme]))

    def _is_own(self, origin: Origin) -> bool:
        return split_host(self.endpoint.host, origin.port) == (origin.host, origin.port)

    def _follow(
        self, method: str, start: Origin, path: str, headers: Mapping[str, str], authorization: str,
        *, home: Origin, body: Body | None,
    ) -> Response:  # fmt: skip
        origin = start
        for _ in range(MAX_REDIRECTS + 1):
            sent = dict(headers)
            if authorization and origin == home:
                sent["Authorization"] = authorization
            response = self._send(method, origin, path, sent, body, foreign=origin != home)
            location = response.header("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            with response:
                response.read_all(MAX_ERROR_BYTES)
            target, path = parse_url(join_url(f"{origin}{path}", location))
            if origin.scheme == "https" and target.scheme != "https":
                raise RegistryForbidden(f"refuse redirect from {origin} to {target}: https to http")
            origin = target
        raise RegistryForbidden(f"refuse redirect from {start}: stopped after {MAX_REDIRECTS} redirects")

    def _send(
        self, method: str, origin: Origin, path: str, headers: Mapping[str, str], body: bytes | Body | None,
        *, foreign: bool,
    ) -> Response:  # fmt: skip
        url = f"{origin}{path}"
        shown = f"{origin}{path.partition('?')[0]}"
        sent = {"Host": origin.authority, "User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
        if isinstance(body, Body):
            sent["Content-Length"] = str(body.size_bytes)
        proxy = proxy_for(origin)
        for reused in (True, False):
            connection = self._take(origin) if reused else None
            if reused and connection is None:
                continue
            if connection is None:
                connection = self._connect(origin, proxy, shown, foreign=foreign)
            try:
                target = url if proxy and origin.scheme == "http" else path
                response = Response(self._exchange(connection, method, target, body, sent), connection, shown)
                response.pooled = (self, origin)
                return response
            except (OSError, http.client.HTTPException) as exc:
                connection.close()
                if not reused:
                    raise from_network(exc, url=shown, host=origin.host) from exc
                # A kept connection that the server has closed meanwhile: once more on a new one.
            except BaseException:
                connection.close()
                raise
        raise AssertionError("unreachable")

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        target: str,
        body: bytes | Body | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        if not isinstance(body, Body):
            connection.request(method, target, body, headers)
            return connection.getresponse()
        try:
            connection.request(method, target, body.open(), headers)
        except (BrokenPipeError, ConnectionResetError) as exc:
            # A server that refuses the body says why before it hangs up, if the reset has not overtaken it.
            try:
                return connection.getresponse()
            except (OSError, http.client.HTTPException):
                raise exc from None
        sock = connection.sock  # getresponse forgets it when the server will close
        sock.settimeout(self._timeouts.settle)
        answer = connection.getresponse()
        sock.settimeout(self._timeouts.stall)
        return answer

    def _take(self, origin: Origin) -> http.client.HTTPConnection | None:
        with self._lock:
            idle = self._idle.get(origin)
            return idle.pop() if idle else None

    def _connect(
        self, origin: Origin, proxy: Origin | None, shown: str, *, foreign: bool
    ) -> http.client.HTTPConnection:
        first = proxy or origin
        address = ""
        sock: socket.socket | None = None
        try:
            sock, address = dial(first, self._timeouts.connect)
            if foreign:
                check_address(sock.getpeername()[0] if proxy is None else origin.host, self.endpoint, origin)
            connection = http.client.HTTPConnection(first.host, first.port)
            connection.sock = sock
            if proxy is not None and proxy.scheme == "https":
                connection.sock = sock = self._context(verify=True).wrap_socket(sock, server_hostname=proxy.host)
            if proxy is not None and origin.scheme == "https":
                tunnel(connection, origin)
            if origin.scheme == "https":
                context = self._context(verify=self.endpoint.verify or foreign)
                if self._scheme is None:  # a plain HTTP server may wait for ever for the end of our TLS greeting
                    sock.settimeout(min(_PROBE_SECONDS, self._timeouts.connect))
                connection.sock = sock = context.wrap_socket(sock, server_hostname=origin.host)
            sock.settimeout(self._timeouts.stall)
            return connection
        except (OSError, http.client.HTTPException) as exc:
            if sock is not None:
                sock.close()
            url = shown if foreign or "/v2/" not in shown else f"{origin}/v2/"
            raise from_network(exc, url=url, host=first.host, address=address) from exc
        except BaseException:
            if sock is not None:
                sock.close()
            raise

    def _context(self, *, verify: bool) -> ssl.SSLContext:
        with self._lock:
            context = self._contexts.get(verify)
            if context is None:
                context = self._contexts[verify] = ssl_context(self.endpoint.certificates, verify=verify)
            return context


def _refused(exc: ConnectionFailed) -> bool:
    return isinstance(exc.__cause__, ConnectionRefusedError)

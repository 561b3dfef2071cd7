"""The HTTP server: one thread per connection, blocking code all the way down.

Out of scope: what the routes do (the group files) and where the listening socket comes from (the engine; who serves a
TCP listener gives a ``TlsTerminator``).
"""

import contextlib
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Collection
from functools import partial
from typing import TYPE_CHECKING

from wherry.api.connection import Connection, Limits
from wherry.api.disconnect import DisconnectWatcher
from wherry.api.errors import ClientGone, TooManyConnections, error_body, message_of, status_of
from wherry.api.request import Request
from wherry.api.response import JSON, Response, json_response
from wherry.api.router import Router
from wherry.errors import Forbidden, WherryError
from wherry.log import get_logger

if TYPE_CHECKING:
    from wherry.api.tls import TlsTerminator

logger = get_logger(__name__)

_LOCAL_HOSTS = frozenset(("localhost", "127.0.0.1", "[::1]"))


class ApiServer:
    """Serves a router on any number of listeners.

    ``on_thread_end`` runs at the end of each connection's thread (the
    engine closes the thread's database connection there). ``allowed_hosts`` are the names that a TCP client may
    give in Host, besides the loopback ones and the address that it connected to (S92).
    """

    def __init__(
        self,
        router: Router,
        *,
        limits: Limits | None = None,
        allowed_hosts: Collection[str] = (),
        tls: "TlsTerminator | None" = None,
        on_thread_end: Callable[[], object] | None = None,
    ) -> None:
        self._router = router
        self._limits = limits or Limits()
        self._allowed_hosts = _LOCAL_HOSTS | {host.lower() for host in allowed_hosts}
        self._tls = tls
        self._on_thread_end = on_thread_end
        self._watcher = DisconnectWatcher()
        self._lock = threading.Lock()
        self._connections: dict[socket.socket, bool] = {}  # → a request is being worked on
        self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        self._last_activity = time.monotonic()
        self._closing = False

    # -- life

    def serve(self, listener: socket.socket) -> None:
        """Accept on ``listener`` until :meth:`close`; the caller closes the listener."""
        tcp = listener.family != socket.AF_UNIX
        listener.setblocking(False)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(self._wake, select.POLLIN)
        while True:
            poll.poll()
            if self._closing:
                return  # who is in the backlog now finds the next engine
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError as exc:
                logger.warning("accept a client: %s", exc)
                time.sleep(0.05)  # out of descriptors: let some connections end
                continue
            if not tcp:
                self._start(client, None)
                continue
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            address = client.getsockname()[0].lower()
            hosts = self._allowed_hosts | {f"[{address}]" if ":" in address else address}
            if self._tls is None:
                self._start(client, hosts)
            else:
                self._tls.accept(client, partial(self._start, hosts=hosts))

    def idle_seconds(self) -> float:
        """For how long no request has been worked on; 0 while one is."""
        with self._lock:
            return 0.0 if any(self._connections.values()) else time.monotonic() - self._last_activity

    def close_if_idle(self, seconds: float) -> bool:
        """Close unless a request is being worked on or was within the last ``seconds``; says whether it did."""
        with self._lock:
            if any(self._connections.values()) or time.monotonic() - self._last_activity < seconds:
                return False
            self._closing = True
        self.close()
        return True

    def close(self) -> None:
        """Accept nothing more, drop idle connections, tell long requests to end. Does not wait for them."""
        with self._lock:
            self._closing = True
            idle = [sock for sock, busy in self._connections.items() if not busy]
        os.eventfd_write(self._wake, 1)
        for sock in idle:
            with contextlib.suppress(OSError):  # the client was faster
                sock.shutdown(socket.SHUT_RD)
        self._watcher.release_all()

    def drain(self, seconds: float) -> bool:
        """Wait until every connection has ended, at most ``seconds``; True if so."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            with self._lock:
                if not self._connections:
                    return True
            time.sleep(0.01)
        return False

    # -- connections

    def _start(self, client: socket.socket, hosts: frozenset[str] | None) -> None:
        """``hosts``: the names that Host may have; None on a unix socket, where nobody is misled by one."""
        with self._lock:
            full = len(self._connections) >= self._limits.connections
            if not full:
                self._connections[client] = True  # its first request may be in the buffer already
        if full:
            self._refuse(client)
            return
        threading.Thread(target=self._run, args=(client, hosts), name="client", daemon=True).start()

    def _refuse(self, client: socket.socket) -> None:
        error = TooManyConnections("too many connections")
        with contextlib.suppress(OSError):  # the refusal is a courtesy
            client.setblocking(False)
            head = f"HTTP/1.1 503 Service Unavailable\r\nContent-Type: {JSON}\r\nConnection: close\r\n\r\n"
            client.send(head.encode() + error_body(error.message))
        client.close()

    def _run(self, client: socket.socket, hosts: frozenset[str] | None) -> None:
        connection = Connection(client, self._limits)
        try:
            while self._serve_one(connection, hosts):
                pass
        except ClientGone:
            pass  # nobody left to answer
        except Exception:
            logger.exception("serve a connection")
        finally:
            with self._lock:
                del self._connections[client]
                self._last_activity = time.monotonic()
            client.close()
            if self._on_thread_end is not None:
                self._on_thread_end()

    def _serve_one(self, connection: Connection, hosts: frozenset[str] | None) -> bool:
        """One request and its answer; False when the connection is to be closed."""
        request: Request | None = None
        try:
            head = connection.next_head()
            if head is None:
                return False
            with self._lock:
                self._connections[connection.sock] = True
            request = Request(head, connection, self._watcher)
            self._answer(request, hosts)
        except WherryError as error:  # the head itself was bad
            response = Response(status_of(error), error_body(error.message), JSON, (("Connection", "close"),))
            _respond_raw(connection, response)
            connection.linger()
            return False
        finally:
            if request is not None:
                request.release()
        if request.hijacked or not request.ended:
            return False
        if not connection.finish():
            connection.linger()
            return False
        with self._lock:
            self._connections[connection.sock] = False
            self._last_activity = time.monotonic()
            return not self._closing

    def _answer(self, request: Request, hosts: frozenset[str] | None) -> None:
        try:
            _admit(request, hosts)
            if request.method == "OPTIONS":
                request.respond(Response())
                return
            handler, request.version, request.params = self._router.find(request.method, request.path)
            response = handler(request)
        except ClientGone:
            raise
        except ConnectionError as error:
            if request.hijacked:
                raise ClientGone(str(error)) from error
            self._answer_error(request, error)
            return
        except Exception as error:
            self._answer_error(request, error)
            return
        if response is not None:
            request.respond(response)

    def _answer_error(self, request: Request, error: Exception) -> None:
        status = status_of(error)
        if not isinstance(error, WherryError):
            logger.exception("%s %s", request.method, request.path)
        elif status >= 500:
            logger.error("%s %s: %s", request.method, request.path, error)
        if not request.started:
            request.respond(Response(304) if status == 304 else _error_response(status, error))
        elif not request.hijacked:
            logger.warning("%s %s: cut the answer short: %s", request.method, request.path, error)


def _admit(request: Request, hosts: frozenset[str] | None) -> None:
    """S92: no browser may drive the engine."""
    if "origin" in request.headers:
        raise Forbidden("requests with an Origin header are refused")
    if hosts is None:
        return
    host = request.headers.get("host", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    if name not in hosts:
        raise Forbidden(f"host {host[:255]!r} is not one of this engine's names")


def _error_response(status: int, error: Exception) -> Response:
    return json_response({"message": message_of(error)}, status=status)


def _respond_raw(connection: Connection, response: Response) -> None:
    headers = (
        ("Content-Type", response.content_type),
        ("Content-Length", str(len(response.body))),
        *response.headers,
    )
    connection.send_whole(response.status, headers, response.body)

"""Published ports that the firewall cannot forward (loopback): accept on the host's listener, connect from the
host's namespace to the container, pump with splice(2).

The monitor lives in the container's network namespace; a socket belongs to the namespace in which it was made, so
each outgoing one is made during a short visit to the host's.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable

from wherry.linux.namespaces import CLONE_NEWNET, setns
from wherry.monitor.diagnostics import report
from wherry.monitor.loop import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, Loop, Timer
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_SPLICE_BYTES = 64 << 10
# Docker's userland proxy (UDPConnTrackTimeout).
UDP_SESSION_SECONDS = 90.0
_UDP_SESSIONS = 4096
_ACCEPTS_PER_ROUND = 64
# 1 MiB: two peers that are as fast as the pump must not keep the loop from everything else.
_PUMPS_PER_ROUND = 16
_ACCEPT_PAUSE_SECONDS = 0.1

SocketMaker = Callable[[int, int], socket.socket]


def socket_in(host_fd: int, here_fd: int) -> SocketMaker:
    """A function that makes non-blocking sockets in the namespace ``host_fd`` and comes back to ``here_fd``."""

    def make(family: int, kind: int) -> socket.socket:
        setns(host_fd, CLONE_NEWNET)
        try:
            return socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        finally:
            setns(here_fd, CLONE_NEWNET)

    return make


def serve_proxies(
    loop: Loop, proxies: list[dict[str, Any]], listeners: list[int], make: SocketMaker
) -> list[TcpProxy | UdpProxy]:
    """Begin to serve the plan's ``proxies`` on their listening descriptors (owned by the proxies now).

    Closing them gives the ports back, whatever connections and clients live on.
    """
    served: list[TcpProxy | UdpProxy] = []
    for proxy in proxies:
        fd = listeners[proxy["listener"]]
        address = (proxy["address"], proxy["port"])
        if proxy["protocol"] == "tcp":
            served.append(TcpProxy(loop, fd, address, make))
        elif proxy["protocol"] == "udp":
            served.append(UdpProxy(loop, fd, address, make))
        else:
            report(f"proxy for protocol {proxy['protocol']} is not supported")
            os.close(fd)
    return served


def _family(address: tuple[str, int]) -> int:
    return socket.AF_INET6 if ":" in address[0] else socket.AF_INET


class TcpProxy:
    """One published TCP port."""

    def __init__(self, loop: Loop, fd: int, address: tuple[str, int], make: SocketMaker) -> None:
        self._loop = loop
        self._address = address
        self._make = make
        self._listener = socket.socket(fileno=fd)
        self._listener.setblocking(False)
        loop.add(fd, EPOLLIN, self._on_ready)

    def _on_ready(self, _events: int) -> None:
        for _ in range(_ACCEPTS_PER_ROUND):
            try:
                client, _peer = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
                    # The connection waits in the backlog; without a pause the loop would spin.
                    self._loop.remove(self._listener.fileno())
                    self._loop.call_later(_ACCEPT_PAUSE_SECONDS, self._resume)
                    return
                continue  # the client gave up before it was accepted
            client.setblocking(False)
            try:
                TcpConnection(
                    self._loop, client, self._make(_family(self._address), socket.SOCK_STREAM), self._address
                )
            except OSError as exc:
                report(f"proxy to {self._address[0]}:{self._address[1]}: {exc.strerror}")
                client.close()

    def _resume(self) -> None:
        if self._listener.fileno() >= 0:
            self._loop.add(self._listener.fileno(), EPOLLIN, self._on_ready)

    def close(self) -> None:
        """Accept no more, free the port; connections go on."""
        self._loop.remove(self._listener.fileno())
        self._listener.close()


class _Direction:
    """Bytes from ``source`` to ``target`` through a pipe, never through this process's memory."""

    def __init__(self, source: socket.socket, target: socket.socket) -> None:
        self.source = source
        self.target = target
        self.read_end, self.write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.held = 0
        self.source_ended = False
        self.done = False

    def pump(self) -> None:
        """Move what can be moved, up to a bound: epoll comes back. Raises OSError when either side is gone."""
        for _ in range(_PUMPS_PER_ROUND):
            if self.done:
                return
            progress = False
            if not self.source_ended and self.held < _SPLICE_BYTES:
                progress = self._fill()
            if self.held:
                progress = self._empty() or progress
            if self.source_ended and not self.held:
                self.target.shutdown(socket.SHUT_WR)
                self.done = True
            if not progress:
                return

    def _fill(self) -> bool:
        try:
            count = os.splice(
                self.source.fileno(), self.write_end, _SPLICE_BYTES - self.held, flags=os.SPLICE_F_NONBLOCK
            )
        except BlockingIOError:
            return False
        if count == 0:
            self.source_ended = True
        self.held += count
        return count > 0

    def _empty(self) -> bool:
        try:
            count = os.splice(self.read_end, self.target.fileno(), self.held, flags=os.SPLICE_F_NONBLOCK)
        except BlockingIOError:
            return False
        self.held -= count
        return count > 0

    def close(self) -> None:
        os.close(self.read_end)
        os.close(self.write_end)


class TcpConnection:
    """One client's connection; half-closes are passed on in both directions. Owns both sockets."""

    def __init__(self, loop: Loop, client: socket.socket, backend: socket.socket, address: tuple[str, int]) -> None:
        self._loop = loop
        self._client = client
        self._backend = backend
        self._connected = False
        self._directions: tuple[_Direction, ...] = ()
        try:
            backend.connect(address)
        except BlockingIOError:
            pass  # in progress: EPOLLOUT tells
        except OSError:
            backend.close()
            raise
        loop.add(backend.fileno(), EPOLLOUT, self._on_ready)
        loop.add(client.fileno(), 0, self._on_ready)

    def _on_ready(self, events: int) -> None:
        try:
            if not self._connected and not self._finish_connect(events):
                return
            for direction in self._directions:
                direction.pump()
        except OSError:
            self._close(reset=True)
            return
        if all(direction.done for direction in self._directions):
            self._close(reset=False)
            return
        for endpoint in (self._client, self._backend):
            self._loop.modify(endpoint.fileno(), self._interest(endpoint))

    def _finish_connect(self, events: int) -> bool:
        error = self._backend.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        if not events & EPOLLOUT:
            if events & (EPOLLHUP | EPOLLERR):
                raise ConnectionResetError(errno.ECONNRESET, "client gave up")
            return False
        self._connected = True
        outward = _Direction(self._client, self._backend)
        try:
            self._directions = (outward, _Direction(self._backend, self._client))
        except OSError:
            outward.close()
            raise
        return True

    def _interest(self, endpoint: socket.socket) -> int:
        events = 0
        for direction in self._directions:
            if direction.source is endpoint and not direction.source_ended and direction.held < _SPLICE_BYTES:
                events |= EPOLLIN
            if direction.target is endpoint and direction.held:
                events |= EPOLLOUT
        return events

    def _close(self, *, reset: bool) -> None:
        for direction in self._directions:
            direction.close()
        for endpoint in (self._client, self._backend):
            self._loop.remove(endpoint.fileno())
            if reset:
                # The other side sees a reset, not an orderly end of a stream that was cut.
                endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            endpoint.close()


class UdpProxy:
    """One published UDP port: a session per client address, so that answers find their way back."""

    def __init__(self, loop: Loop, fd: int, address: tuple[str, int], make: SocketMaker) -> None:
        self._loop = loop
        self._address = address
        self._make = make
        self._listener = socket.socket(fileno=fd)
        self._listener.setblocking(False)
        self._sessions: dict[Any, _UdpSession] = {}
        loop.add(fd, EPOLLIN, self._on_ready)

    def _on_ready(self, _events: int) -> None:
        for _ in range(_ACCEPTS_PER_ROUND):
            try:
                data, peer = self._listener.recvfrom(65535)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an earlier answer
            session = self._sessions.get(peer) or self._open(peer)
            if session is not None:
                session.forward(data)

    def _open(self, peer: Any) -> _UdpSession | None:
        if len(self._sessions) >= _UDP_SESSIONS:
            return None  # datagrams may be lost; memory may not
        try:
            backend = self._make(_family(self._address), socket.SOCK_DGRAM)
            backend.connect(self._address)
        except OSError as exc:
            report(f"proxy to {self._address[0]}:{self._address[1]}/udp: {exc.strerror}")
            return None
        session = _UdpSession(self._loop, backend, lambda data: self._answer(peer, data), lambda: self._forget(peer))
        self._sessions[peer] = session
        return session

    def _answer(self, peer: Any, data: bytes) -> None:
        try:
            self._listener.sendto(data, peer)
        except OSError:
            pass  # as the network: a datagram that cannot be sent is lost

    def _forget(self, peer: Any) -> None:
        del self._sessions[peer]

    def close(self) -> None:
        """Take no more, free the port; what is answered now is lost."""
        self._loop.remove(self._listener.fileno())
        self._listener.close()


class _UdpSession:
    def __init__(
        self, loop: Loop, backend: socket.socket, answer: Callable[[bytes], None], forget: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._backend = backend
        self._answer = answer
        self._forget = forget
        self._last_used = loop.clock()
        self._timer: Timer = loop.call_later(UDP_SESSION_SECONDS, self._expire)
        loop.add(backend.fileno(), EPOLLIN, self._on_ready)

    def forward(self, data: bytes) -> None:
        self._last_used = self._loop.clock()
        try:
            self._backend.send(data)
        except OSError:
            pass  # full queue or ICMP refusal: the datagram is lost

    def _on_ready(self, _events: int) -> None:
        self._last_used = self._loop.clock()
        try:
            self._answer(self._backend.recv(65535))
        except OSError:
            pass  # ICMP port unreachable arrives as an error of the connected socket

    def _expire(self) -> None:
        left = self._last_used + UDP_SESSION_SECONDS - self._loop.clock()
        if left > 0:
            self._timer = self._loop.call_later(left, self._expire)
            return
        self._loop.remove(self._backend.fileno())
        self._backend.close()
        self._forget()

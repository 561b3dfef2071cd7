"""Mutual TLS for clients that come over TCP, ended before HTTP begins.

Each client has a thread that carries bytes between its socket and one end of a socket pair; the server gets the
other end. So there is one kind of client above this file, hijacked streams are handed to monitors as they are, and
half-close works both ways (close_notify is a shutdown, and the other way round).
"""

import contextlib
import select
import socket
import ssl
import threading
import time
from collections.abc import Callable

from wherry.errors import InvalidParameter
from wherry.log import get_logger
from wherry.settings import Settings

_logger = get_logger(__name__)

HANDSHAKE_SECONDS = 10.0
HANDSHAKES = 256
_PIECE = 64 << 10
_BUFFER = 256 << 10
_LINGER_SECONDS = 2.0


def server_context(settings: Settings) -> ssl.SSLContext:
    """TLS 1.2 and later, certificates of ``tlscacert`` alone and from every client. InvalidParameter names the file
    that does not do."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as exc:
        raise InvalidParameter(
            f"read TLS certificate {settings.tls_certificate} and key {settings.tls_key}: {exc.strerror or exc}",
            hint="Set tlscert and tlskey (docs/settings.md).",
        ) from exc
    try:
        context.load_verify_locations(settings.tls_authority)
    except (OSError, ssl.SSLError) as exc:
        raise InvalidParameter(
            f"read TLS authority {settings.tls_authority}: {exc.strerror or exc}",
            hint="Set tlscacert: who signed the clients' certificates.",
        ) from exc
    return context


class TlsTerminator:
    """Takes accepted TCP clients; those with a good certificate are delivered as plain sockets."""

    def __init__(self, context: ssl.SSLContext, *, handshake_seconds: float = HANDSHAKE_SECONDS) -> None:
        self._context = context
        self._handshake_seconds = handshake_seconds
        self._handshakes = threading.BoundedSemaphore(HANDSHAKES)

    def accept(self, client: socket.socket, deliver: Callable[[socket.socket], None]) -> None:
        """Returns at once; ``deliver`` is called in the client's thread. With too many handshakes under way the
        client is hung up on (S93)."""
        if not self._handshakes.acquire(blocking=False):
            client.close()
            return
        threading.Thread(target=self._run, args=(client, deliver), name="tls", daemon=True).start()

    def _run(self, client: socket.socket, deliver: Callable[[socket.socket], None]) -> None:
        with client:
            client.setblocking(False)
            stream = _TlsStream(client, self._context)
            try:
                stream.handshake(time.monotonic() + self._handshake_seconds)
            except (OSError, ssl.SSLError) as exc:
                _logger.info("TLS handshake: %s", exc)
                return
            finally:
                self._handshakes.release()
            ours, theirs = socket.socketpair()
            with ours:
                deliver(theirs)
                ours.setblocking(False)
                try:
                    _carry(stream, ours)
                except (OSError, ssl.SSLError) as exc:
                    # Reset by the client, or what came was not TLS: the server sees its end.
                    _logger.debug("TLS client: %s", exc)


class _TlsStream:
    """A TLS session over a non-blocking socket. ``ended``: the client sends no more."""

    def __init__(self, client: socket.socket, context: ssl.SSLContext) -> None:
        self.client = client
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._unsent = b""
        self.ended = False

    def handshake(self, deadline: float) -> None:
        """Raises OSError or SSLError; TimeoutError when it is not over at ``deadline`` (S93)."""
        poll = select.poll()
        while True:
            try:
                self._tls.do_handshake()
                return
            except ssl.SSLWantReadError:
                self.flush()
            except ssl.SSLError:
                with contextlib.suppress(OSError):  # the alert that tells the client why
                    self.flush()
                raise
            left = deadline - time.monotonic()
            poll.register(self.client, select.POLLOUT if self.pending else select.POLLIN)
            if left <= 0 or not poll.poll(left * 1000):
                raise TimeoutError("not over in time")
            if not self.pending and not self.fill():
                raise ConnectionResetError("the client hung up")

    @property
    def pending(self) -> bool:
        """Whether something waits to be sent."""
        return bool(self._unsent or self._outgoing.pending)

    def flush(self) -> None:
        """Send what can be sent."""
        while self.pending:
            self._unsent = self._unsent or self._outgoing.read(_PIECE)
            try:
                self._unsent = self._unsent[self.client.send(self._unsent) :]
            except BlockingIOError:
                return

    def fill(self) -> bool:
        """Take what has come; False at the end of the connection."""
        try:
            data = self.client.recv(_PIECE)
        except BlockingIOError:
            return True
        if not data:
            self._incoming.write_eof()
            return False
        self._incoming.write(data)
        return True

    def read(self) -> bytes:
        """Decrypt what has come: empty when there is no more for now, or ``ended``."""
        pieces = []
        while True:
            try:
                piece = self._tls.read(_PIECE)
            except ssl.SSLWantReadError:
                break
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                piece = b""
            if not piece:
                self.ended = True
                break
            pieces.append(piece)
        return b"".join(pieces)

    def write(self, data: bytes) -> None:
        """Encrypt; ``flush`` sends it."""
        self._tls.write(data)

    def close_write(self) -> None:
        """Tell the client that no more comes."""
        with contextlib.suppress(ssl.SSLError):  # wants the client's own close_notify, which need not come
            self._tls.unwrap()


def _carry(stream: _TlsStream, plain: socket.socket) -> None:
    """Until the server has closed its end, or the client is gone."""
    client, poll = stream.client, select.poll()
    to_server = stream.read()  # came with the end of the handshake
    finished = shut = False
    linger: float | None = None
    while True:
        stream.flush()
        if not to_server and stream.ended and not shut:
            shut = True
            with contextlib.suppress(OSError):  # the server has closed it already
                plain.shutdown(socket.SHUT_WR)
        if finished and not stream.pending:
            if linger is None:
                client.shutdown(socket.SHUT_WR)
                linger = time.monotonic() + _LINGER_SECONDS
            if stream.ended or time.monotonic() > linger:
                return
        interest = 0 if stream.ended or len(to_server) > _BUFFER else select.POLLIN
        poll.register(client, interest | (select.POLLOUT if stream.pending else 0))
        interest = 0 if finished or stream.pending else select.POLLIN
        poll.register(plain, interest | (select.POLLOUT if to_server else 0))
        if finished and not to_server:
            poll.unregister(plain)
        ready = dict(poll.poll(None if linger is None else _LINGER_SECONDS * 1000))
        if ready.get(client.fileno(), 0) & ~select.POLLOUT:
            if not stream.fill() and not finished:
                stream.ended = True
            to_server += stream.read()
            if finished:
                to_server = b""  # nobody reads it any more
        if ready.get(plain.fileno(), 0) & select.POLLOUT and to_server:
            try:
                to_server = to_server[plain.send(to_server) :]
            except BlockingIOError:
                pass  # the buffer is full after all
            except (BrokenPipeError, ConnectionResetError):
                to_server = b""  # closed without reading it
        if ready.get(plain.fileno(), 0) & (select.POLLIN | select.POLLHUP) and not finished and not stream.pending:
            try:
                data = plain.recv(_PIECE)
            except ConnectionResetError:
                data = b""  # closed with unread input
            if data:
                stream.write(data)
            else:
                finished = True
                stream.close_write()

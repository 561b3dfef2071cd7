"""One socket to an engine and what HTTP/1.1 needs of it: send, read a line, read some bytes.

Written over ``_socket``, the C half of :mod:`socket`: the Python half costs 4 ms to import and gives a client
nothing but ``makefile``. TCP and TLS use the public modules.
"""

import _socket
import errno

from wherry.client.errors import ConnectionFailed, ConnectionLost
from wherry.errors import Forbidden

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.address import Address, TlsFiles

_READ_SIZE = 64 << 10
_LONGEST_LINE = 64 << 10


class Connection:
    """A connected stream with a read buffer. The owner closes it."""

    __slots__ = ("buffer", "sock")

    def __init__(self, sock: "_socket.socket") -> None:
        self.sock = sock
        self.buffer = b""

    def send(self, data: bytes) -> None:
        try:
            self.sock.sendall(data)
        except OSError as exc:
            raise ConnectionLost(f"write to the engine: {exc.strerror or exc}") from exc

    def read_some(self, limit: int = _READ_SIZE) -> bytes:
        """1 to ``limit`` bytes as they come; empty at the end of the stream."""
        if self.buffer:
            data, self.buffer = self.buffer[:limit], self.buffer[limit:]
            return data
        return self._receive(limit)

    def read_line(self) -> bytes:
        """One line without its CRLF. Raises ConnectionLost if the stream ends first."""
        searched = 0
        while (end := self.buffer.find(b"\n", searched)) < 0:
            searched = len(self.buffer)
            if searched > _LONGEST_LINE:
                raise ConnectionLost("read the engine's answer: a header line is too long")
            data = self._receive(_READ_SIZE)
            if not data:
                raise ConnectionLost("read the engine's answer: the connection was closed")
            self.buffer += data
        line, self.buffer = self.buffer[:end], self.buffer[end + 1 :]
        return line[:-1] if line.endswith(b"\r") else line

    def _receive(self, limit: int) -> bytes:
        try:
            return self.sock.recv(limit)
        except TimeoutError as exc:
            raise ConnectionLost("read the engine's answer: timed out") from exc
        except OSError as exc:
            raise ConnectionLost(f"read the engine's answer: {exc.strerror or exc}") from exc

    def close_write(self) -> None:
        """Tell the engine that no more input comes; its output goes on (half-close)."""
        try:
            if isinstance(self.sock, _socket.socket) and not hasattr(self.sock, "unwrap"):
                self.sock.shutdown(_socket.SHUT_WR)
            else:
                _close_notify(self.sock)
        except OSError as exc:
            if exc.errno not in (errno.ENOTCONN, errno.EPIPE):
                raise
            # The engine has closed already: there is nothing left to tell.

    def close(self) -> None:
        self.sock.close()


def connect(address: "Address", timeout_seconds: float | None = None) -> Connection:
    """Connect, with TLS if the address has it. Raises ConnectionFailed (Docker's wording) or Forbidden."""
    try:
        if address.path:
            sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
            sock.settimeout(timeout_seconds)
            try:
                sock.connect(address.path)
            except BaseException:
                sock.close()
                raise
            return Connection(sock)
        return Connection(_connect_tcp(address, timeout_seconds))
    except PermissionError as exc:
        raise Forbidden(
            f"permission denied while trying to connect to the Docker daemon socket at {address.text}",
            hint="Run as root, or as a member of the socket's group.",
        ) from exc
    except OSError as exc:
        reason = "" if address.path else f" ({exc.strerror or exc})"
        raise ConnectionFailed(
            f"Cannot connect to the Docker daemon at {address.text}. Is the docker daemon running?{reason}"
        ) from exc


def _connect_tcp(address: "Address", timeout_seconds: float | None) -> "_socket.socket":
    import socket  # start-up cost: only for TCP

    sock = socket.create_connection((address.host, address.port), timeout_seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if address.tls is None:
        return sock
    try:
        return _wrap_tls(sock, address.host, address.tls)
    except BaseException:
        sock.close()
        raise


def _wrap_tls(sock: "_socket.socket", host: str, files: "TlsFiles") -> "_socket.socket":
    import socket
    import ssl  # start-up cost: only for TLS

    assert isinstance(sock, socket.socket)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not files.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif files.authority:
        context.load_verify_locations(files.authority)
    else:
        context.load_default_certs()
    if files.certificate:
        context.load_cert_chain(files.certificate, files.key or None)
    return context.wrap_socket(sock, server_hostname=host)


def _close_notify(sock: "_socket.socket") -> None:
    """Send TLS close_notify without waiting for the peer's, which comes only after its output."""
    import ssl

    assert isinstance(sock, ssl.SSLSocket)
    before = sock.gettimeout()
    sock.settimeout(0)
    try:
        sock.unwrap()
    except (ssl.SSLWantReadError, ssl.SSLSyscallError):
        pass  # sent; the peer's own close_notify is not there yet
    finally:
        sock.settimeout(before)

"""``sockets.py`` for programs that live longer than a command: the sockets are ``socket.socket``."""

import socket
import struct

from wherry.linux import sockets
from wherry.linux.sockets import MAX_FDS, receive_with_fds, send_with_fds

__all__ = ["MAX_FDS", "connect_unix", "listen_unix", "peer_credentials", "receive_with_fds", "send_with_fds"]


def connect_unix(path: str, kind: int) -> socket.socket:
    """A connected unix socket of ``kind`` (SOCK_STREAM or SOCK_SEQPACKET). Raises OSError."""
    return socket.socket(fileno=sockets.connect(path, kind).detach())


def listen_unix(path: str, kind: int, *, mode: int = 0o600, backlog: int = 512) -> socket.socket:
    """A listening unix socket with file mode ``mode`` from its first moment; a stale name is replaced."""
    return socket.socket(fileno=sockets.listen(path, kind, mode=mode, backlog=backlog).detach())


def peer_credentials(endpoint: socket.socket) -> tuple[int, int, int]:
    """SO_PEERCRED: pid, uid and gid of the other side when it connected."""
    pid, uid, gid = struct.unpack("3i", endpoint.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid

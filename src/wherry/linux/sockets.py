"""Unix sockets that carry descriptors, and addresses that are longer than ``sun_path`` allows.

A socket below a deep directory (108 bytes is little for ``/run/user/…/<64 hex>/monitor.sock``) is bound and
connected through ``/proc/self/fd/<dirfd>/name``. The sockets are those of ``_socket``, the base of ``socket.socket``:
the socket module takes 4 ms to import, and ``wherry-runtime`` has no use for what it adds. ``fdsocket.py`` gives the
same as ``socket.socket``.
"""

import errno
import os
import struct
from _socket import (
    AF_UNIX,
    CMSG_SPACE,
    MSG_CMSG_CLOEXEC,
    MSG_CTRUNC,
    MSG_DONTWAIT,
    MSG_NOSIGNAL,
    MSG_PEEK,
    MSG_TRUNC,
    SCM_RIGHTS,
    SOCK_CLOEXEC,
    SOCK_SEQPACKET,
    SOCK_STREAM,
    SOL_SOCKET,
    socketpair,
)
from _socket import socket as Socket

__all__ = ["MAX_FDS", "MSG_DONTWAIT", "MSG_PEEK", "SOCK_SEQPACKET", "SOCK_STREAM", "Socket", "accept", "connect",
           "duplicate", "listen", "pair", "receive_with_fds", "send_with_fds"]  # fmt: skip

# The kernel's SCM_MAX_FD is 253.
MAX_FDS = 250


def pair(kind: int) -> tuple[Socket, Socket]:
    """socketpair(2) of unix sockets."""
    return socketpair(AF_UNIX, kind | SOCK_CLOEXEC)


def connect(path: str, kind: int) -> Socket:
    """A connected unix socket of ``kind`` (SOCK_STREAM or SOCK_SEQPACKET). Raises OSError."""
    return _through_directory(path, kind, listening=False)


def listen(path: str, kind: int, *, mode: int = 0o600, backlog: int = 512) -> Socket:
    """A listening unix socket with file mode ``mode`` from its first moment; a stale name is replaced."""
    mask = os.umask(0o777 & ~mode)
    try:
        try:
            listener = _through_directory(path, kind, listening=True)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
            os.unlink(path)
            listener = _through_directory(path, kind, listening=True)
    finally:
        os.umask(mask)
    listener.listen(backlog)
    return listener


def _through_directory(path: str, kind: int, *, listening: bool) -> Socket:
    directory, slash, name = path.rpartition("/")
    directory_fd = os.open(directory or slash or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    endpoint = Socket(AF_UNIX, kind | SOCK_CLOEXEC)
    try:
        address = f"/proc/self/fd/{directory_fd}/{name}"
        if listening:
            endpoint.bind(address)
        else:
            endpoint.connect(address)
    except OSError as exc:
        endpoint.close()
        raise OSError(exc.errno, os.strerror(exc.errno or 0), path) from exc
    finally:
        os.close(directory_fd)
    return endpoint


def accept(listener: Socket) -> Socket:
    """accept4(2), CLOEXEC."""
    fd, _address = listener._accept()  # type: ignore[attr-defined]  # what socket.socket.accept calls
    return Socket(fileno=fd)


def duplicate(endpoint: Socket) -> Socket:
    """Another descriptor of the same socket, CLOEXEC."""
    return Socket(fileno=os.dup(endpoint.fileno()))


def send_with_fds(endpoint: Socket, data: bytes, fds: list[int], flags: int = 0) -> None:
    """sendmsg(2) with SCM_RIGHTS; the kernel duplicates, the caller keeps its descriptors."""
    rights = [(SOL_SOCKET, SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))] if fds else []
    endpoint.sendmsg([data], rights, int(flags) | MSG_NOSIGNAL)


def receive_with_fds(endpoint: Socket, size: int, flags: int = 0) -> tuple[bytes, list[int]]:
    """recvmsg(2); received descriptors are CLOEXEC. An empty ``bytes`` is the end of the stream.

    Raises OSError(EMSGSIZE) for a message over ``size`` bytes; its descriptors are closed.
    """
    data, ancillary, message_flags, _ = endpoint.recvmsg(size, CMSG_SPACE(MAX_FDS * 4), int(flags) | MSG_CMSG_CLOEXEC)
    fds: list[int] = []  # not an array: that imports collections
    for level, kind, content in ancillary:
        if level == SOL_SOCKET and kind == SCM_RIGHTS:
            count = len(content) // 4
            fds += struct.unpack(f"{count}i", content[: 4 * count])
    if message_flags & (MSG_TRUNC | MSG_CTRUNC):
        for fd in fds:
            os.close(fd)
        raise OSError(90, "message too long for its buffer")
    return data, fds

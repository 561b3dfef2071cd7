"""Unix sockets that carry descriptors, and addresses that are longer than ``sun_path`` allows.

A socket below a deep directory (108 bytes is little for ``/run/user/…/<64 hex>/monitor.sock``) is bound and
connected through ``/proc/self/fd/<dirfd>/name``.
"""

import array
import errno
import os
import socket
import struct

# The kernel's SCM_MAX_FD is 253.
MAX_FDS = 250

# The socket module's flags are enums whose ``|`` runs a dozen Python functions; these are numbers.
_NOSIGNAL, _CMSG_CLOEXEC = int(socket.MSG_NOSIGNAL), int(socket.MSG_CMSG_CLOEXEC)
_TRUNCATED = int(socket.MSG_TRUNC) | int(socket.MSG_CTRUNC)


def connect_unix(path: str, kind: int) -> socket.socket:
    """A connected unix socket of ``kind`` (SOCK_STREAM or SOCK_SEQPACKET). Raises OSError."""
    return _through_directory(path, kind, listen=False)


def listen_unix(path: str, kind: int, *, mode: int = 0o600, backlog: int = 512) -> socket.socket:
    """A listening unix socket with file mode ``mode`` from its first moment; a stale name is replaced."""
    mask = os.umask(0o777 & ~mode)
    try:
        try:
            listener = _through_directory(path, kind, listen=True)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
            os.unlink(path)
            listener = _through_directory(path, kind, listen=True)
    finally:
        os.umask(mask)
    listener.listen(backlog)
    return listener


def _through_directory(path: str, kind: int, *, listen: bool) -> socket.socket:
    directory, slash, name = path.rpartition("/")
    directory_fd = os.open(directory or slash or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    endpoint = socket.socket(socket.AF_UNIX, kind | socket.SOCK_CLOEXEC)
    try:
        address = f"/proc/self/fd/{directory_fd}/{name}"
        if listen:
            endpoint.bind(address)
        else:
            endpoint.connect(address)
    except OSError as exc:
        endpoint.close()
        raise OSError(exc.errno, os.strerror(exc.errno or 0), path) from exc
    finally:
        os.close(directory_fd)
    return endpoint


def send_with_fds(endpoint: socket.socket, data: bytes, fds: list[int], flags: int = 0) -> None:
    """sendmsg(2) with SCM_RIGHTS; the kernel duplicates, the caller keeps its descriptors."""
    rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
    endpoint.sendmsg([data], rights, int(flags) | _NOSIGNAL)


def receive_with_fds(endpoint: socket.socket, size: int, flags: int = 0) -> tuple[bytes, list[int]]:
    """recvmsg(2); received descriptors are CLOEXEC. An empty ``bytes`` is the end of the stream.

    Raises OSError(EMSGSIZE) for a message over ``size`` bytes; its descriptors are closed.
    """
    data, ancillary, message_flags, _ = endpoint.recvmsg(
        size, socket.CMSG_SPACE(MAX_FDS * 4), int(flags) | _CMSG_CLOEXEC
    )
    fds = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            fds.frombytes(content[: len(content) - len(content) % fds.itemsize])
    if message_flags & _TRUNCATED:
        for fd in fds:
            os.close(fd)
        raise OSError(90, "message too long for its buffer")
    return data, list(fds)


def peer_credentials(endpoint: socket.socket) -> tuple[int, int, int]:
    """SO_PEERCRED: pid, uid and gid of the other side when it connected."""
    pid, uid, gid = struct.unpack("3i", endpoint.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return pid, uid, gid

"""Messages between engine, zygote and monitor: one JSON object per packet on a seqpacket socket.

A request is ``{"op": name, "seq": n, …}``; its answer ``{"seq": n, "ok": value}`` or
``{"seq": n, "error": {"kind", "message", "exit_code"}}``. An event is ``{"event": name, "id": container, …}``.
A text over 32 KiB travels in a sealed memfd, the first descriptor of its packet (``{"memfd": size}``).
Descriptors that do not fit one packet (SCM_MAX_FD) go ahead in packets ``{"part": true}``.

One packet is no JSON: :data:`SPAWN` with one descriptor, a seqpacket socket, asks the zygote to fork a monitor that
serves that socket. It is answered by nobody; the first message on the socket is ``begin`` (client.py). So the zygote
forks before it touches memory that would then be copied for every monitor.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Sequence

from wherry import json_text
from wherry.linux.fdsocket import MAX_FDS, receive_with_fds, send_with_fds
from wherry.linux.memfd import sealed_bytes
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeAlias

# Part of the handshake: a zygote of another version is replaced, a monitor of another one is only read.
PROTOCOL_VERSION = 1

SPAWN = b"spawn"
INLINE_LIMIT = 32 << 10
PAYLOAD_LIMIT = 16 << 20
_PACKET_LIMIT = 64 << 10

Message: TypeAlias = "dict[str, Any]"
_SPAWN_MESSAGE: Message = {"op": "spawn"}


class ProtocolError(Exception):
    """The peer sent something that is no message."""


def send(endpoint: socket.socket, message: Message, fds: Sequence[int] = ()) -> None:
    """Send one message with its descriptors (kept by the caller). Raises OSError."""
    data = json_text.dumps(message).encode()
    rights = list(fds)
    payload = -1
    if len(data) > INLINE_LIMIT:
        payload = sealed_bytes(data, "wherry-message")
        rights.insert(0, payload)
        data = b'{"memfd":%d}' % len(data)
    try:
        while len(rights) > MAX_FDS:
            send_with_fds(endpoint, b'{"part":true}', rights[:MAX_FDS])
            rights = rights[MAX_FDS:]
        send_with_fds(endpoint, data, rights)
    finally:
        if payload >= 0:
            os.close(payload)


class Receiver:
    """Reads messages from one socket; keeps the descriptors of parts until their message is whole."""

    def __init__(self, endpoint: socket.socket) -> None:
        self._endpoint = endpoint
        self._fds: list[int] = []

    def receive(self, flags: int = 0) -> tuple[Message, list[int]] | None:
        """The next message and its descriptors (owned by the caller); None at the end of the stream.

        Raises BlockingIOError when MSG_DONTWAIT is given and nothing whole is there, ProtocolError, OSError.
        """
        while True:
            data, fds = receive_with_fds(self._endpoint, _PACKET_LIMIT, flags)
            self._fds += fds
            if not data:
                self.close()
                return None
            if data == SPAWN:
                received, self._fds = self._fds, []
                return _SPAWN_MESSAGE, received
            message = _parse(data)
            if message.get("part"):
                continue
            received, self._fds = self._fds, []
            if "memfd" in message:
                if not received:
                    raise ProtocolError("payload descriptor missing")
                message = _read_payload(received.pop(0), message["memfd"])
            return message, received

    def close(self) -> None:
        """Close descriptors whose message never came."""
        for fd in self._fds:
            os.close(fd)
        self._fds = []


def _parse(data: bytes) -> Message:
    try:
        message = json_text.loads(data.decode())
    except ValueError as exc:
        raise ProtocolError(f"parse message: {exc}") from exc
    if not isinstance(message, dict):
        raise ProtocolError("message is not an object")
    return message


def _read_payload(fd: int, size: int) -> Message:
    try:
        if not 0 < size <= PAYLOAD_LIMIT or os.fstat(fd).st_size != size:
            raise ProtocolError("payload of the wrong size")
        return _parse(os.pread(fd, size, 0))
    finally:
        os.close(fd)


def is_disconnect(exc: OSError) -> bool:
    """Whether a send or receive failed because the peer is gone."""
    return exc.errno in (errno.EPIPE, errno.ECONNRESET, errno.ENOTCONN, errno.EBADF)

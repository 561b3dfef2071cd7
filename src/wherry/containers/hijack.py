"""A client whose HTTP connection was taken over for a container's streams."""

import socket
import struct
from dataclasses import dataclass

STDIN, STDOUT, STDERR = 0, 1, 2


@dataclass(frozen=True, slots=True)
class HijackedClient:
    """``socket`` past the answer's head, bytes already read from it, and whether output is framed (no tty)."""

    socket: socket.socket
    leftover: bytes
    framed: bool


def frame(stream: int, payload: bytes) -> bytes:
    """Docker's stdcopy frame: stream number, three zero bytes, big-endian length, payload."""
    return struct.pack(">BxxxL", stream, len(payload)) + payload

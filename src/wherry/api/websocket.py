"""WebSocket framing (RFC 6455) around a raw stream, for /containers/{id}/attach/ws.

Only the server's side, only binary output: a container's stream has no messages. Input frames of any kind are
standard input; pings are answered; a close frame is standard input's end.
"""

import base64
import hashlib
import socket
import struct
import threading

from wherry.errors import InvalidParameter

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_BINARY, _CLOSE, _PING, _PONG = 0x2, 0x8, 0x9, 0xA
_FINAL, _MASKED = 0x80, 0x80
_MAX_FRAME = 1 << 20
_CHUNK = 32 << 10


class FrameError(InvalidParameter):
    """A frame that breaks RFC 6455 or is larger than this server takes."""


def accept_key(key: str) -> str:
    """The handshake's proof (RFC 6455, 4.2.2). InvalidParameter for a key that is not 16 bytes in base64."""
    try:
        valid = len(base64.b64decode(key, validate=True)) == 16
    except ValueError:
        valid = False
    if not valid:
        raise InvalidParameter("bad websocket handshake: Sec-WebSocket-Key is not valid")
    return base64.b64encode(hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()).decode()


def encode_frame(opcode: int, payload: bytes) -> bytes:
    """One unfragmented, unmasked frame."""
    length = len(payload)
    if length < 126:
        head = struct.pack(">BB", _FINAL | opcode, length)
    elif length < 1 << 16:
        head = struct.pack(">BBH", _FINAL | opcode, 126, length)
    else:
        head = struct.pack(">BBQ", _FINAL | opcode, 127, length)
    return head + payload


class FrameReader:
    """Reads client frames from a socket; ``leftover`` was read from it before."""

    def __init__(self, sock: socket.socket, leftover: bytes) -> None:
        self._sock = sock
        self._buffer = bytearray(leftover)

    def read(self) -> tuple[int, bytes] | None:
        """Opcode and unmasked payload of the next frame; None at the end of the stream."""
        head = self._take(2)
        if head is None:
            return None
        opcode, length = head[0] & 0x0F, head[1] & 0x7F
        if not head[1] & _MASKED:
            raise FrameError("read websocket frame: a client's frame must be masked")
        if length >= 126:
            extended = self._take(2 if length == 126 else 8)
            if extended is None:
                return None
            length = int.from_bytes(extended, "big")
        if length > _MAX_FRAME:
            raise FrameError(f"read websocket frame: {length} bytes are more than {_MAX_FRAME}")
        mask, payload = self._take(4), self._take(length)
        if mask is None or payload is None:
            return None
        return opcode, _unmask(payload, mask)

    def _take(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            data = self._sock.recv(_CHUNK)
            if not data:
                return None
            self._buffer += data
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken


def _unmask(payload: bytes, mask: bytes) -> bytes:
    # One big-integer XOR instead of a loop over bytes.
    length = len(payload)
    key = (mask * (length // 4 + 1))[:length]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(length, "big")


def bridge(client: socket.socket, leftover: bytes, stream: socket.socket) -> None:
    """Carry a WebSocket's payload to and from ``stream`` until both have ended. Closes neither."""
    send_lock = threading.Lock()

    def send(opcode: int, payload: bytes) -> None:
        with send_lock:
            client.sendall(encode_frame(opcode, payload))

    def output() -> None:
        try:
            while data := stream.recv(_CHUNK):
                send(_BINARY, data)
            send(_CLOSE, struct.pack(">H", 1000))
            client.shutdown(socket.SHUT_RDWR)  # wakes the reader below
        except OSError:
            _end(stream)  # the client has gone: so must what feeds it

    writer = threading.Thread(target=output, name="websocket", daemon=True)
    writer.start()
    try:
        reader = FrameReader(client, leftover)
        while (frame := reader.read()) is not None and frame[0] != _CLOSE:
            opcode, payload = frame
            if opcode == _PING:
                send(_PONG, payload)
            elif opcode != _PONG:
                stream.sendall(payload)
        stream.shutdown(socket.SHUT_WR)
    except (OSError, FrameError):
        _end(stream)
    writer.join()


def _end(stream: socket.socket) -> None:
    try:
        stream.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass  # the other side has ended it already

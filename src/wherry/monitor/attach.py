"""One attached client: the user's own socket, handed over by the engine.

Output goes out as stdcopy frames or raw (terminal) through a bounded buffer: a client that does not read makes
its :class:`~wherry.monitor.stdio.Process` stop reading, so it slows the container as Docker does; a client that
is gone is dropped at once. Input runs the other way with the same back-pressure.
"""

from __future__ import annotations

import socket
import struct
from collections import deque

from wherry.monitor.attach_options import AttachOptions, parse_detach_keys
from wherry.monitor.loop import EPOLLERR, EPOLLHUP, EPOLLIN, EPOLLOUT, EPOLLRDHUP, Loop
from wherry.record import Protocol

# The most a client may lag behind before the container's output waits for it.
BUFFER_LIMIT_BYTES = 1 << 20
_READ_BYTES = 64 << 10
_HEADER = struct.Struct(">BxxxI")
STREAM_NUMBERS = {"stdout": 1, "stderr": 2}


class AttachTarget(Protocol):
    """What a client is attached to (``stdio.Stdio``)."""

    def client_writable(self) -> None:
        """A client's buffer fell below its limit: output may flow again."""

    def client_input(self, data: bytes) -> bool:
        """Take stdin bytes; False when no more is wanted before ``Client.resume_input``."""

    def client_input_ended(self, client: Client) -> None:
        """The client half-closed."""

    def client_gone(self, client: Client, *, detached: bool) -> None:
        """The client's socket is closed."""


class DetachKeys:
    """Finds the detach sequence in typed input. Keys that began it and were not finished are passed on late,
    as moby's ``term.EscapeProxy`` does."""

    def __init__(self, sequence: bytes) -> None:
        self._sequence = sequence
        self._matched = 0

    def filter(self, data: bytes) -> tuple[bytes, bool]:
        """What to pass on, and whether the sequence was completed."""
        out = bytearray()
        for byte in data:
            if byte == self._sequence[self._matched]:
                self._matched += 1
                if self._matched == len(self._sequence):
                    self._matched = 0
                    return bytes(out), True
                continue
            out += self._sequence[: self._matched]
            self._matched = 0
            if byte == self._sequence[0]:
                self._matched = 1
                continue
            out.append(byte)
        return bytes(out), False


class Client:
    """Owns the socket ``fd``."""

    def __init__(self, fd: int, options: AttachOptions, loop: Loop, target: AttachTarget) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        self._fd = fd
        self._loop = loop
        self._target = target
        self._options = options
        self._keys = DetachKeys(parse_detach_keys(options.detach_keys)) if not options.framed else None
        self._buffer: deque[bytes | memoryview] = deque()
        self._buffered = 0
        self._reading = options.stdin
        self._input_ended = not options.stdin
        self._finishing = False
        self.open = True
        loop.add(fd, self._interest(), self._on_ready)

    def feed_leftover(self) -> None:
        """Pass on the input that arrived with the request's head; once, after the target knows the client."""
        if self._options.stdin and self._options.leftover:
            self._take_input(self._options.leftover)

    @property
    def full(self) -> bool:
        """Whether output must wait."""
        return self._buffered >= BUFFER_LIMIT_BYTES

    @property
    def gives_input(self) -> bool:
        """Whether the client asked to type; true also after it is gone."""
        return self._options.stdin

    def wants(self, stream: str) -> bool:
        """Whether the client asked for this stream."""
        return self._options.stdout if stream == "stdout" else self._options.stderr

    def write(self, stream: str, data: bytes) -> None:
        """Queue output and send what goes."""
        if not self.open or not self.wants(stream):
            return
        pieces: list[bytes] = [data]
        if self._options.framed:
            pieces.insert(0, _HEADER.pack(STREAM_NUMBERS[stream], len(data)))
        idle = not self._buffer
        self._buffer.extend(pieces)
        self._buffered += sum(map(len, pieces))
        if idle:
            self._flush()

    def _flush(self) -> None:
        was_full = self.full
        try:
            while self._buffer:
                batch = [self._buffer[i] for i in range(min(64, len(self._buffer)))]
                sent = self._socket.sendmsg(batch, (), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
                self._buffered -= sent
                while sent:
                    head = self._buffer[0]
                    if sent < len(head):
                        self._buffer[0] = memoryview(head)[sent:]
                        break
                    sent -= len(head)
                    self._buffer.popleft()
        except BlockingIOError:
            pass  # the peer's buffer is full: EPOLLOUT goes on
        except OSError:
            self.drop()  # reset or closed by the peer
            return
        if self._finishing and not self._buffer:
            self.drop()
            return
        self._loop.modify(self._fd, self._interest())
        if was_full and not self.full:
            self._target.client_writable()

    def _interest(self) -> int:
        events = EPOLLIN | EPOLLRDHUP if self._reading and not self._input_ended else 0
        return events | EPOLLOUT if self._buffer else events

    def _on_ready(self, events: int) -> None:
        if events & EPOLLERR or (events & EPOLLHUP and not events & EPOLLIN):
            self.drop()
            return
        if events & EPOLLOUT:
            self._flush()
        if self.open and self._reading and events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP):
            self._read()
        elif self.open and events & EPOLLHUP:
            self.drop()

    def _read(self) -> None:
        try:
            data = self._socket.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            self.drop()
            return
        if data:
            self._take_input(data)
            return
        self._input_ended = True
        self._loop.modify(self._fd, self._interest())
        self._target.client_input_ended(self)

    def _take_input(self, data: bytes) -> None:
        detached = False
        if self._keys is not None:
            data, detached = self._keys.filter(data)
        if data and not self._target.client_input(data):
            self._reading = False
            self._loop.modify(self._fd, self._interest())
        if detached:
            self.drop(detached=True)

    def resume_input(self) -> None:
        """The target takes stdin again."""
        if self.open and not self._reading and self._options.stdin:
            self._reading = True
            self._loop.modify(self._fd, self._interest())

    def finish(self) -> None:
        """No more output will come: close when everything queued is sent."""
        self._finishing = True
        self._reading = False
        if self.open:
            self._flush()

    def drop(self, *, detached: bool = False) -> None:
        """Close now; idempotent."""
        if not self.open:
            return
        self.open = False
        self._loop.remove(self._fd)
        try:
            # Also ends the connection for copies of the descriptor that other processes may still hold.
            self._socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # already closed by the peer
        self._socket.close()
        self._buffer.clear()
        self._buffered = 0
        self._target.client_gone(self, detached=detached)

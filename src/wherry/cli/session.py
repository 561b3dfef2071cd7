"""An attached container or exec: our stdin to it, its output to our stdout and stderr, until one side ends.

One thread and poll(2): a container that does not read its input never stops its output, and the other way round.
"""

import os
import select

from wherry.cli.app import write_all
from wherry.cli.detach_keys import DetachFilter
from wherry.cli.signal_relay import SignalRelay
from wherry.client.connection import Connection
from wherry.client.errors import ConnectionLost
from wherry.client.streams import STDERR, SYSTEM_ERROR, Demultiplexer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.cli.exit_watch import ExitWatch

_READABLE = select.POLLIN | select.POLLHUP | select.POLLERR | select.POLLNVAL


class Session:
    """``run`` pumps until the stream ends (False) or the detach keys were typed (True). It closes nothing."""

    def __init__(
        self,
        stream: Connection,
        relay: SignalRelay,
        *,
        tty: bool,
        stdin: int | None,
        detach_keys: bytes = b"",
        stdout: int = 1,
        stderr: int = 2,
        watch: "ExitWatch | None" = None,
    ) -> None:
        self._stream = stream
        self._relay = relay
        self._frames = None if tty else Demultiplexer()
        self._stdin = stdin
        self._filter = DetachFilter(detach_keys) if detach_keys else None
        self._outputs = (stdout, stderr)
        self._unsent = b""
        self._input_ended = stdin is None
        self._watch = watch

    def run(self) -> bool:
        sock = self._stream.sock
        if self._stream.buffer:
            data, self._stream.buffer = self._stream.buffer, b""
            self._write(data)
        sock.settimeout(0)
        descriptor = sock.fileno()
        while True:
            interests = {descriptor: select.POLLIN | (select.POLLOUT if self._unsent else 0)}
            reading = self._stdin is not None and not self._input_ended and not self._unsent
            if reading and self._stdin is not None:
                interests[self._stdin] = select.POLLIN
            watched = self._watch.descriptor if self._watch is not None else -1
            if watched >= 0:
                interests[watched] = select.POLLIN
            ready = self._relay.wait(interests)
            if self._watch is not None and ready.get(watched, 0):
                self._watch.notice()
            if reading and self._stdin is not None and ready.get(self._stdin, 0) & _READABLE and self._read_input():
                return True
            if self._unsent:
                self._send()
            if ready.get(descriptor, 0) & _READABLE and not self._receive():
                return False

    def _receive(self) -> bool:
        """Write out all that has come. False at the end of the stream."""
        while True:
            try:
                data = self._stream.sock.recv(64 << 10)
            except BlockingIOError:
                return True
            except OSError as exc:
                # Cut off: what came before is written, the exit is asked for elsewhere.
                return _wants_more(exc)
            if not data:
                return False
            self._write(data)
            if len(data) < 32 << 10 and not hasattr(self._stream.sock, "pending"):
                return True  # a plain socket is drained: poll says when there is more

    def _write(self, data: bytes) -> None:
        if self._frames is None:
            write_all(self._outputs[0], data)
            return
        for stream, piece in self._frames.feed(data):
            if stream == SYSTEM_ERROR:
                raise ConnectionLost(f"error from daemon in stream: {piece.decode('utf-8', 'replace')}")
            write_all(self._outputs[1 if stream == STDERR else 0], piece)

    def _read_input(self) -> bool:
        """Take what was typed. True if it was the detach keys."""
        assert self._stdin is not None
        try:
            data = os.read(self._stdin, 32 << 10)
        except BlockingIOError:
            return False
        except OSError:
            data = b""  # a closed descriptor or a terminal that hung up: the end of input
        if not data:
            self._input_ended = True
            self._stream.close_write()
            return False
        if self._filter is not None:
            data = self._filter.feed(data)
            if self._filter.detached:
                return True
        self._unsent += data
        self._send()
        return False

    def _send(self) -> None:
        try:
            while self._unsent:
                self._unsent = self._unsent[self._stream.sock.send(self._unsent) :]
        except BlockingIOError:
            pass  # the container reads slowly: poll tells when there is room
        except OSError as exc:
            if not _wants_more(exc):
                # The container takes no more input; its output may go on.
                self._unsent = b""
                self._input_ended = True


def _wants_more(exc: OSError) -> bool:
    """Whether a TLS socket only wants to read or write first."""
    return type(exc).__name__ in ("SSLWantReadError", "SSLWantWriteError")

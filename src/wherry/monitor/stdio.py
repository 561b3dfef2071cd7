"""The standard streams of one process (the container's, or an exec's): pipes or a terminal on one side; the log
and the attached clients on the other."""

import errno
import os
from collections.abc import Callable
from functools import partial

from wherry.linux.terminal import set_window_size
from wherry.logs.driver import LogDriver
from wherry.monitor.attach import Client
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.diagnostics import report
from wherry.monitor.loop import EPOLLIN, EPOLLOUT, Loop, Timer

READ_BYTES = 64 << 10
# Input that clients typed faster than the process reads.
_INPUT_LIMIT_BYTES = 64 << 10
# How long a drained pipe may stay open after its process ended: somebody outside holds a copy of it.
DRAIN_SECONDS = 2.0
# And how long in all, when that somebody goes on writing: an exit must come to its end.
DRAIN_LIMIT_SECONDS = 5.0


class Streams:
    """The descriptors for one process: ``child`` become its 0, 1, 2 (None for a terminal, which the runtime makes);
    the rest is ours."""

    def __init__(self, *, terminal: bool, stdin: bool) -> None:
        self.child: tuple[int, int, int] | None = None
        self.stdin = self.stdout = self.stderr = -1
        if terminal:
            return
        if stdin:
            child_in, self.stdin = os.pipe2(os.O_CLOEXEC)
        else:
            child_in = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.stdout, child_out = os.pipe2(os.O_CLOEXEC)
        self.stderr, child_err = os.pipe2(os.O_CLOEXEC)
        self.child = (child_in, child_out, child_err)

    def close_child(self) -> None:
        """Close the child's ends in this process; idempotent."""
        for fd in self.child or ():
            os.close(fd)
        self.child = None

    def close(self) -> None:
        """Close everything (the process did not come to life)."""
        self.close_child()
        for fd in (self.stdin, self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)
        self.stdin = self.stdout = self.stderr = -1


class Stdio:
    """Pumps one process's streams until they end. ``stdin_once``: the end of a client's input is the end of the
    process's; otherwise that client is dropped, as Docker does. ``on_end`` is called once, when all output was
    taken after :meth:`process_ended`."""

    def __init__(
        self,
        loop: Loop,
        *,
        log: LogDriver | None,
        stdin_once: bool,
        on_end: Callable[[], None],
        on_detach: Callable[[], None],
        on_client_gone: Callable[[], None] = lambda: None,
    ) -> None:
        self._loop = loop
        self._log = log
        self._log_failing = False
        self._stdin_once = stdin_once
        self._on_end = on_end
        self._on_detach = on_detach
        self._on_client_gone = on_client_gone
        self.tap: Callable[[bytes], None] | None = None  # sees all output (a health check's)
        self._clients: list[Client] = []
        self._outputs: dict[int, str] = {}
        self._stdin_fd = -1
        self._console_fd = -1
        self._input = bytearray()
        self._input_waits = False
        self._input_ended = False
        self._paused = False
        self._process_gone = False
        self._finished = False
        self._drain_timer: Timer | None = None
        self._drain_deadline = 0.0

    def begin(self, streams: Streams, console_fd: int | None) -> None:
        """Take over the streams (ownership included) and begin to pump."""
        if console_fd is not None:
            self._console_fd = self._stdin_fd = console_fd
            self._outputs = {console_fd: "stdout"}
        else:
            self._stdin_fd = streams.stdin
            self._outputs = {streams.stdout: "stdout", streams.stderr: "stderr"}
            if self._stdin_fd < 0:
                self._close_stdin()  # /dev/null: what clients typed is discarded
        for fd in {*self._outputs, self._stdin_fd} - {-1}:
            os.set_blocking(fd, False)
        for fd in self._outputs:
            self._loop.add(fd, EPOLLIN, self._reader(fd))
        if self._stdin_fd >= 0 and self._stdin_fd != self._console_fd:
            # 0: only tells when the process closed its end.
            self._loop.add(self._stdin_fd, 0, self._on_stdin)
        self._push_input()

    def attach(self, fd: int, options: AttachOptions) -> None:
        """Add a client; its socket is ours now. Input typed before the process lives is kept (bounded)."""
        client = Client(fd, options, self._loop, self)
        self._clients.append(client)
        if self._finished:
            client.finish()
            return
        client.feed_leftover()

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size; nothing happens without a terminal."""
        if self._console_fd >= 0:
            set_window_size(self._console_fd, rows=height, columns=width)

    @property
    def clients(self) -> int:
        """How many clients are attached or still being flushed."""
        return len(self._clients)

    # Output

    def _reader(self, fd: int) -> Callable[[int], None]:
        return partial(self._on_output, fd)

    def _on_output(self, fd: int, events: int) -> None:
        if fd == self._console_fd and events & EPOLLOUT:
            self._push_input()
        if events & ~EPOLLOUT and fd in self._outputs:
            self._read(fd)

    def _read(self, fd: int) -> None:
        try:
            data = os.read(fd, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as exc:
            if exc.errno != errno.EIO:  # EIO: the last slave of the terminal was closed
                raise
            data = b""
        if not data:
            self._close_output(fd)
            return
        stream = self._outputs[fd]
        self._store(stream, data)
        if self.tap is not None:
            self.tap(data)
        for client in tuple(self._clients):
            client.write(stream, data)
        self._throttle()
        if self._drain_timer is not None:
            self._arm_drain_timer()

    def _store(self, stream: str, data: bytes | None) -> None:
        """Log a chunk, or (None) the end of a stream. A refusing disk costs lines, never the container."""
        if self._log is None:
            return
        try:
            if data is None:
                self._log.end_stream(stream)
            else:
                self._log.write(stream, data)
            self._log_failing = False
        except OSError as exc:
            if not self._log_failing:
                report(f"write log: {exc.strerror}: output is being lost")
            self._log_failing = True

    def _throttle(self) -> None:
        # After the end of the process only what the pipes hold is left: it is read whatever the clients do.
        full = not self._process_gone and any(client.full for client in self._clients)
        if full != self._paused:
            self._paused = full
            for fd in self._outputs:
                self._watch_output(fd)

    def _watch_output(self, fd: int) -> None:
        if self._paused:
            # Removed, not modified to 0: a hung-up pipe would wake the loop for nothing.
            self._loop.remove(fd)
            return
        events = EPOLLIN | EPOLLOUT if fd == self._console_fd and self._input else EPOLLIN
        self._loop.remove(fd)
        self._loop.add(fd, events, self._reader(fd))

    def _close_output(self, fd: int) -> None:
        stream = self._outputs.pop(fd)
        self._loop.remove(fd)
        self._store(stream, None)
        if fd == self._console_fd:
            self._console_fd = self._stdin_fd = -1
            self._input.clear()
        os.close(fd)
        self._maybe_end()

    # Input

    def client_input(self, data: bytes) -> bool:
        """See :class:`wherry.monitor.attach.AttachTarget`."""
        if self._input_ended or self._process_gone:
            return True  # nobody reads it any more: discard, as a closed pipe would
        self._input += data
        self._push_input()
        self._input_waits = len(self._input) >= _INPUT_LIMIT_BYTES
        return not self._input_waits

    def _push_input(self) -> None:
        if self._stdin_fd < 0:
            return
        try:
            while self._input:
                del self._input[: os.write(self._stdin_fd, self._input[:READ_BYTES])]
        except BlockingIOError:
            pass  # the pipe is full: EPOLLOUT goes on
        except OSError:
            self._close_stdin()  # EPIPE, EIO: the process closed its end
            return
        if self._stdin_fd == self._console_fd:
            if not self._paused:
                self._watch_output(self._console_fd)
        elif self._input_ended and not self._input:
            self._close_stdin()
            return
        else:
            self._loop.modify(self._stdin_fd, EPOLLOUT if self._input else 0)
        self._resume_clients()

    def _resume_clients(self) -> None:
        if self._input_waits and len(self._input) < _INPUT_LIMIT_BYTES:
            self._input_waits = False
            for client in tuple(self._clients):
                client.resume_input()

    def _on_stdin(self, events: int) -> None:
        if events & EPOLLOUT:
            self._push_input()
        else:
            self._close_stdin()

    def _close_stdin(self) -> None:
        self._input_ended = True
        self._input.clear()
        fd, self._stdin_fd = self._stdin_fd, -1
        if fd >= 0 and fd != self._console_fd:
            self._loop.remove(fd)
            os.close(fd)
        self._resume_clients()

    # Clients

    def client_input_ended(self, client: Client) -> None:
        """See :class:`wherry.monitor.attach.AttachTarget`."""
        if self._stdin_once and self._console_fd < 0:
            self._end_input()
        else:
            client.finish()

    def _end_input(self) -> None:
        """Close the process's input after what was typed so far."""
        self._input_ended = True
        if self._stdin_fd >= 0:
            self._push_input()

    def client_writable(self) -> None:
        """See :class:`wherry.monitor.attach.AttachTarget`."""
        self._throttle()

    def client_gone(self, client: Client, *, detached: bool) -> None:
        """See :class:`wherry.monitor.attach.AttachTarget`."""
        if client in self._clients:
            self._clients.remove(client)
        if client.gives_input and self._stdin_once and self._console_fd < 0:
            # Cut off is an end too: a process that waits for input would wait for ever (moby: CloseStdin).
            self._end_input()
        if detached:
            self._on_detach()
        self._throttle()
        self._on_client_gone()

    # End

    def process_ended(self) -> None:
        """The process was reaped: read what its pipes still hold, then call ``on_end``."""
        self._process_gone = True
        self._drain_deadline = self._loop.clock() + DRAIN_LIMIT_SECONDS
        self._throttle()
        self._arm_drain_timer()
        self._maybe_end()

    def _arm_drain_timer(self) -> None:
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        left = max(0.0, self._drain_deadline - self._loop.clock())
        self._drain_timer = self._loop.call_later(min(DRAIN_SECONDS, left), self._give_up)

    def _give_up(self) -> None:
        for fd in tuple(self._outputs):
            self._close_output(fd)

    def _maybe_end(self) -> None:
        if self._outputs or not self._process_gone or self._finished:
            return
        self._finished = True
        if self._drain_timer is not None:
            self._drain_timer.cancel()
        self._close_stdin()
        for client in tuple(self._clients):
            client.finish()
        self._on_end()

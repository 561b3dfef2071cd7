"""The monitor's event loop: one epoll, timers on the monotonic clock (R37), children. No threads, no asyncio
(an idle monitor with asyncio imported would be several times as big)."""

import heapq
import os
import select
import signal
import time
from collections.abc import Callable

EPOLLIN = select.EPOLLIN
EPOLLOUT = select.EPOLLOUT
EPOLLERR = select.EPOLLERR
EPOLLHUP = select.EPOLLHUP
EPOLLRDHUP = select.EPOLLRDHUP

FdCallback = Callable[[int], None]
ExitCallback = Callable[[int], None]


_handling_children = False


def _on_child(_number: int, _frame: object) -> None:
    """The wake-up descriptor does the work; the handler only has to exist."""


class Timer:
    """A call at a time; ``cancel`` prevents it."""

    __slots__ = ("callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        """Do not call; idempotent."""
        self.callback = None

    def __lt__(self, other: "Timer") -> bool:
        return self.when < other.when


class Loop:
    """``clock`` is monotonic seconds; tests pass their own to time-dependent parts."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._epoll = select.epoll()
        self._callbacks: dict[int, FdCallback] = {}
        self._timers: list[Timer] = []
        self._children: dict[int, ExitCallback] = {}
        self._running = True
        self._wake_read = -1

    def add(self, fd: int, events: int, callback: FdCallback) -> None:
        """Call ``callback(ready events)`` while ``fd`` is ready. Raises PermissionError for a regular file."""
        self._epoll.register(fd, events)
        self._callbacks[fd] = callback

    def modify(self, fd: int, events: int) -> None:
        """Wait for other events. ERR and HUP are always reported, even for 0."""
        self._epoll.modify(fd, events)

    def remove(self, fd: int) -> None:
        """Forget ``fd`` (before it is closed); idempotent."""
        if self._callbacks.pop(fd, None) is not None:
            self._epoll.unregister(fd)

    def call_later(self, delay_seconds: float, callback: Callable[[], None]) -> Timer:
        """Call once after a delay."""
        timer = Timer(self.clock() + delay_seconds, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def watch_child(self, pid: int, callback: ExitCallback) -> None:
        """Call ``callback(wait status)`` once when the child ``pid`` is gone; needs :meth:`reap_children`."""
        self._children[pid] = callback

    def reap_children(self) -> None:
        """Handle SIGCHLD in this process: watched children are reported, orphans (a subreaper inherits them) are
        only reaped."""
        global _handling_children  # as the handler: one per process, and inherited by fork
        self._wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        if not _handling_children:
            signal.signal(signal.SIGCHLD, _on_child)
            _handling_children = True
        self.add(self._wake_read, EPOLLIN, self._on_signal)
        self._reap()

    def _on_signal(self, _events: int) -> None:
        os.read(self._wake_read, 4096)
        self._reap()

    def _reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            callback = self._children.pop(pid, None)
            if callback is not None:
                callback(status)

    def stop(self) -> None:
        """Return from :meth:`run` after the present round."""
        self._running = False

    def run(self) -> None:
        """Serve until :meth:`stop`."""
        while self._running:
            self.run_once(None)

    def run_once(self, limit_seconds: float | None) -> None:
        """One round: wait for the first of a ready descriptor, a timer, the limit."""
        timeout = limit_seconds
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        if self._timers:
            until = max(0.0, self._timers[0].when - self.clock())
            timeout = until if timeout is None else min(timeout, until)
        ready = [(fd, self._callbacks.get(fd), events) for fd, events in self._epoll.poll(timeout)]
        for fd, callback, events in ready:
            # An earlier callback may have closed this one and given its number to something new.
            if callback is not None and self._callbacks.get(fd) is callback:
                callback(events)
        now = self.clock()
        while self._timers and self._timers[0].when <= now:
            timer = heapq.heappop(self._timers)
            if timer.callback is not None:
                timer.callback()

    def close(self) -> None:
        """Close the epoll descriptor."""
        self._epoll.close()

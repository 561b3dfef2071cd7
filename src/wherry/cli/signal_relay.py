"""Signals to this process, caught so that they can be passed to a container, and waits that notice them.

Over ``_signal``, the C half of :mod:`signal`: the other half only makes enums of the numbers (1.5 ms).
"""

import _signal  # type: ignore[import-not-found]  # typeshed has only the public half
import os
import select

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

# Not relayed: what cannot be caught, what the kernel sends for our own faults, children, pipes and windows.
_KEPT = frozenset(
    (
        _signal.SIGKILL, _signal.SIGSTOP, _signal.SIGCHLD, _signal.SIGPIPE, _signal.SIGURG, _signal.SIGWINCH,
        _signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGTRAP, _signal.SIGABRT,
    )
)  # fmt: skip

_FORCED_AT = 3


class SignalRelay:
    """While open, caught signals wake :meth:`wait`, which hands them to ``forward`` and window changes to ``resize``.

    Python would otherwise restart a blocked read after a signal and nobody would hear of it.
    """

    def __init__(
        self,
        *,
        forward: "Callable[[int], None] | None" = None,
        resize: "Callable[[], None] | None" = None,
    ) -> None:
        self._forward = forward
        self._resize = resize
        self._before: dict[int, object] = {}
        self._terminations = 0
        self._read_end, self._write_end = -1, -1

    def __enter__(self) -> "SignalRelay":
        self._read_end, self._write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        _signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        if self._resize is not None:
            self._before[_signal.SIGWINCH] = _signal.signal(_signal.SIGWINCH, self._noted)
        if self._forward is not None:
            for number in range(1, 32):
                if number not in _KEPT:
                    self._before[number] = _signal.signal(number, self._noted)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        for number, handler in self._before.items():
            _signal.signal(number, handler)
        self._before.clear()
        _signal.set_wakeup_fd(-1)
        os.close(self._read_end)
        os.close(self._write_end)

    def wait(self, interests: dict[int, int], timeout_seconds: float | None = None) -> dict[int, int]:
        """Wait for ``{descriptor: poll events}``; gives the ones that are ready (none: a signal, or the time)."""
        poll = select.poll()
        for descriptor, events in interests.items():
            poll.register(descriptor, events)
        poll.register(self._read_end, select.POLLIN)
        ready = dict(poll.poll(None if timeout_seconds is None else timeout_seconds * 1000))
        if ready.pop(self._read_end, 0):
            self._deliver()
        return ready

    def _deliver(self) -> None:
        numbers = os.read(self._read_end, 512)
        for number in dict.fromkeys(numbers):
            if number == _signal.SIGWINCH:
                if self._resize is not None:
                    self._resize()
            elif self._forward is not None:
                self._forward(number)

    def _noted(self, number: int, frame: object) -> None:
        """The handler; the number is already in the wake-up pipe. The third SIGINT or SIGTERM ends the command
        wherever it is, for an engine that does not answer must not hold it (docker/cli)."""
        if number in (_signal.SIGINT, _signal.SIGTERM):
            self._terminations += 1
            if self._terminations >= _FORCED_AT:
                os.write(2, b"\ngot 3 SIGTERM/SIGINTs, forcefully exiting\n")
                raise SystemExit(1)  # no WherryError: whoever forwards the signal would take it for the engine's

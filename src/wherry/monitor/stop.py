"""Stopping a container: the signal, patience, SIGKILL, and an answer to everybody who waits for it (R34, R35)."""

from __future__ import annotations

import signal
from collections.abc import Callable

from wherry.monitor.loop import Loop
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TypeAlias

    from wherry.errors import WherryError

# After SIGKILL, before giving up on a task that the kernel cannot kill (R35).
UNKILLABLE_SECONDS = 2.0

Done: TypeAlias = "Callable[[WherryError | None], None]"


class Stops:
    """Who waits for one container's end. ``deliver`` sends a signal and says whether there is one to take it."""

    def __init__(self, loop: Loop, deliver: Callable[[int], bool], unkillable: Callable[[], WherryError]) -> None:
        self._loop = loop
        self._deliver = deliver
        self._unkillable = unkillable
        self._waiting: list[Done] = []

    def begin(self, number: int, timeout_seconds: float, done: Done) -> None:
        """Signal now, kill after the time-out (0: at once, below 0: never); ``done`` is called once."""
        unanswered = [done]

        def finish(error: WherryError | None) -> None:
            if unanswered:
                unanswered.pop()(error)

        self._waiting.append(finish)
        if timeout_seconds == 0:
            number = signal.SIGKILL
        self._deliver(number)
        if number == signal.SIGKILL:
            self._give_up_later(finish)
        elif timeout_seconds > 0:
            self._loop.call_later(timeout_seconds, lambda: self._kill(unanswered, finish))

    def finish(self) -> None:
        """The exit is complete."""
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            done(None)

    def _kill(self, unanswered: list[Done], finish: Done) -> None:
        if unanswered and self._deliver(signal.SIGKILL):
            self._give_up_later(finish)

    def _give_up_later(self, finish: Done) -> None:
        self._loop.call_later(UNKILLABLE_SECONDS, lambda: finish(self._unkillable()))

"""Health checks (``HEALTHCHECK``, ``--health-cmd``): moby ``daemon/health.go``'s rules on the monitor's clock.

``starting`` until the first success, or until ``retries`` failures in a row outside the start period make it
``unhealthy``; one success makes it ``healthy`` again.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

from wherry.errors import WherryError
from wherry.logs.timestamp import format_timestamp
from wherry.monitor.container_runtime import ContainerRuntime
from wherry.monitor.exec_session import ExecSession
from wherry.monitor.loop import Loop, Timer
from wherry.monitor.stdio import Streams
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

OUTPUT_LIMIT_BYTES = 4096
RESULTS_KEPT = 5
STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"


class HealthState:
    """The verdict over a sequence of results; no I/O and no clock."""

    def __init__(self, *, retries: int) -> None:
        self.status = STARTING
        self.failing_streak = 0
        self.log: list[dict[str, Any]] = []
        self._retries = retries

    def add(self, result: dict[str, Any], *, in_start_period: bool) -> bool:
        """Take one result (Docker's ``Start``, ``End``, ``ExitCode``, ``Output``); whether the status changed."""
        self.log = [*self.log, result][-RESULTS_KEPT:]
        before = self.status
        if result["ExitCode"] == 0:
            self.failing_streak = 0
            self.status = HEALTHY
        elif not (in_start_period and before == STARTING):
            self.failing_streak += 1
            if self.failing_streak >= self._retries:
                self.status = UNHEALTHY
        return self.status != before

    def describe(self) -> dict[str, Any]:
        """Docker's ``State.Health``."""
        return {"Status": self.status, "FailingStreak": self.failing_streak, "Log": self.log}


class HealthChecks:
    """Runs ``check`` = ``{"args": argv, "interval", "timeout", "start_period", "start_interval", "retries"}``
    (seconds) in the container with the environment and user of its process. ``emit`` gets a ``health`` event for
    every result."""

    def __init__(
        self,
        loop: Loop,
        runtime: ContainerRuntime,
        check: dict[str, Any],
        emit: Callable[[dict[str, Any]], object],
        paused: Callable[[], bool],
    ) -> None:
        self._loop = loop
        self._runtime = runtime
        self._args: list[str] = check["args"]
        self._interval = check.get("interval") or 30.0
        self._timeout = check.get("timeout") or 30.0
        self._start_period = check.get("start_period") or 0.0
        self._start_interval = check.get("start_interval") or 5.0
        self._emit = emit
        self._paused = paused
        self._began = loop.clock()
        self._timer: Timer | None = None
        self._probe: _Probe | None = None
        self._stopped = False
        self.state = HealthState(retries=check.get("retries") or 3)
        self._schedule()

    def _in_start_period(self) -> bool:
        return self._loop.clock() - self._began < self._start_period

    def _schedule(self) -> None:
        starting = self._in_start_period() and self.state.status == STARTING
        self._timer = self._loop.call_later(self._start_interval if starting else self._interval, self._run)

    def _run(self) -> None:
        if self._paused():
            self._schedule()  # a probe could not even start in a frozen container
            return
        self._probe = _Probe(self._loop, self._runtime, self._args, self._timeout, self._take)
        self._probe.start()

    def _take(self, result: dict[str, Any]) -> None:
        self._probe = None
        if self._stopped:
            return
        changed = self.state.add(result, in_start_period=self._in_start_period())
        self._emit({"event": "health", "changed": changed, "status": self.state.status, "result": result,
                    "failing_streak": self.state.failing_streak})  # fmt: skip
        self._schedule()

    def stop(self) -> None:
        """The container ended: no more probes; a running one dies with it."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()


class _Probe:
    """One run of the check."""

    def __init__(
        self,
        loop: Loop,
        runtime: ContainerRuntime,
        args: list[str],
        timeout_seconds: float,
        on_result: Callable[[dict[str, Any]], None],
    ) -> None:
        self._loop = loop
        self._runtime = runtime
        self._args = args
        self._timeout = timeout_seconds
        self._on_result = on_result
        self._output = bytearray()
        self._timed_out = False
        self._start = format_timestamp(time.time_ns())
        self._session = ExecSession(loop, "health", self._ended)
        self._session.stdio.tap = self._collect
        self._timer: Timer | None = None

    def start(self) -> None:
        try:
            streams = Streams(terminal=False, stdin=False)
            self._session.start(streams, lambda: self._runtime.probe(self._args, streams), None)
        except (WherryError, OSError) as exc:  # OSError: out of descriptors or processes; the next one may work
            self._report(-1, exc.message if isinstance(exc, WherryError) else str(exc.strerror))
            return
        self._timer = self._loop.call_later(self._timeout, self._expire)

    def _collect(self, data: bytes) -> None:
        self._output += data[: OUTPUT_LIMIT_BYTES - len(self._output)]

    def _expire(self) -> None:
        self._timed_out = True
        self._session.signal(signal.SIGKILL)

    def _ended(self, _session: ExecSession, code: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._timed_out:
            output = self._output.decode(errors="replace")
            words = f"Health check exceeded timeout ({_duration(self._timeout)})"
            self._report(-1, f"{words}: {output}" if output else words)
        else:
            self._report(code, self._output.decode(errors="replace"))

    def _report(self, code: int, output: str) -> None:
        self._on_result(
            {"Start": self._start, "End": format_timestamp(time.time_ns()), "ExitCode": code, "Output": output}
        )


def _duration(seconds: float) -> str:
    """Go's ``Duration.String`` for the values that occur here."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    head = (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "")
    return f"{head}{rest:g}s"

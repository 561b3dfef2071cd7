"""One container's life in its monitor: create, start, exit, restart, the end.

``created → running ⇄ paused → exited``; an exit that the restart policy answers goes through ``restarting`` to
``running`` again. Every exit is written to exit.json before it is told to anybody.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable
from enum import StrEnum

from wherry.errors import Conflict, InvalidParameter, Unavailable, WherryError
from wherry.linux.pidfd import send_signal
from wherry.logs.driver import LogDriver, open_driver
from wherry.logs.timestamp import format_timestamp
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.container_runtime import ContainerRuntime, NotRunning
from wherry.monitor.diagnostics import report
from wherry.monitor.exec_session import ExecSessions
from wherry.monitor.exit_status import exit_code, write_exit
from wherry.monitor.health import HealthChecks
from wherry.monitor.loop import Loop, Timer
from wherry.monitor.restart import RestartPolicy
from wherry.monitor.sandbox import Sandbox
from wherry.monitor.stdio import Stdio, Streams
from wherry.monitor.stop import Done, Stops
from wherry.monitor.told import Told
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure

if TYPE_CHECKING:
    from typing import Any, TypeAlias

Event: TypeAlias = "dict[str, Any]"


class Status(StrEnum):
    """Docker's words."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    EXITED = "exited"


class Container:
    """``emit`` takes events, ``watched`` says whether an engine hears them, ``on_over`` is called after the last exit
    was recorded and everything was freed."""

    def __init__(
        self,
        loop: Loop,
        request: dict[str, Any],
        runtime: ContainerRuntime,
        sandbox: Sandbox,
        *,
        emit: Callable[[Event], None],
        watched: Callable[[], bool],
        on_over: Callable[[], None],
    ) -> None:
        self._loop = loop
        self._request = request
        self._runtime = runtime
        self._sandbox = sandbox
        self._told = Told(emit)
        self._watched = watched
        self._on_over = on_over
        self._terminal = bool(request.get("terminal"))
        restart = request.get("restart") or {}
        self.restart = RestartPolicy(restart.get("policy", "no"), restart.get("max_retries", 0))
        self.execs = ExecSessions(loop, runtime, self._told.tell, self._client_gone)
        self.status = Status.CREATING
        self._log: LogDriver | None = None
        self._stdio = self._new_stdio()
        self._old_stdio: list[Stdio] = []
        self._size: tuple[int, int] | None = None
        self._pid = 0
        self._pidfd = -1
        self._wait_status = 0
        self._started_at = ""
        self._finished_at = ""
        self._began = 0.0
        self._exit_code = 0
        self._oom = False
        self._error = ""
        self._failure: WherryError | None = None
        self._restart_timer: Timer | None = None
        self._health: HealthChecks | None = None
        self._stops: Stops | None = None
        self._freed = False

    def _new_stdio(self) -> Stdio:
        return Stdio(
            self._loop,
            log=self._log,
            stdin_once=bool(self._request.get("stdin_once")),
            on_end=self._output_ended,
            on_detach=self._detached,
            on_client_gone=self._client_gone,
        )

    def _detached(self) -> None:
        self._told.tell({"event": "detached"})

    # Coming to life

    def open_log(self) -> None:
        """Before the first create. A log that cannot be opened fails the start."""
        try:
            self._log = open_driver(self._request["log"])
        except OSError as exc:
            self._failure = RuntimeFailure(f"open log {exc.filename}: {exc.strerror}")
        self._stdio = self._new_stdio()

    def attach(self, fd: int, options: AttachOptions) -> None:
        """Hand a client over; its socket is ours."""
        self._stdio.attach(fd, options)

    def fail_create(self, exc: WherryError) -> None:
        """What create needs could not be had: :meth:`start` will say so."""
        self._failure = exc

    def create(self) -> None:
        """Create; a failure is kept for :meth:`start`."""
        if self._failure is None:
            try:
                self._create()
            except WherryError as exc:
                self._failure = exc
            except OSError as exc:
                self._failure = RuntimeFailure(f"create container: {exc.strerror or exc}")

    def _create(self) -> None:
        streams = Streams(terminal=self._terminal, stdin=bool(self._request.get("open_stdin")))
        try:
            running = self._runtime.create(streams, self._sandbox)
        except BaseException:
            streams.close()
            raise
        streams.close_child()
        self._pid, self._pidfd = running.pid, running.pidfd
        self._loop.watch_child(running.pid, self._exited)
        self._stdio.begin(streams, running.console_fd)
        if self._size is not None:
            self._stdio.resize(*self._size)
        self.status = Status.CREATED
        self._sandbox.created(running.pid)

    def start(self) -> dict[str, Any]:
        """Let the created container run. When it raises (WherryError) the container is over."""
        try:
            if self._failure is not None:
                raise self._failure
            if self.status is not Status.CREATED:
                raise Conflict("container is already started")
            self._runtime.start()
        except Conflict:
            raise
        except WherryError as exc:
            self._fail(exc)
            raise
        self.status = Status.RUNNING
        self._began = self._loop.clock()
        self._started_at = format_timestamp(time.time_ns())
        if self._request.get("health"):
            self._health = HealthChecks(
                self._loop,
                self._runtime,
                self._request["health"],
                self._told.tell,
                lambda: self.status is Status.PAUSED,
            )
        started = {"pid": self._pid, "started_at": self._started_at}
        return {**started, "at_ns": self._told.tell({"event": "started", **started})["at_ns"]}

    def _fail(self, exc: WherryError) -> None:
        """Create or start did not succeed: record it as an exit, free everything."""
        self._error = exc.message
        self._exit_code = exc.exit_code if isinstance(exc, RuntimeFailure) else 125
        self._finished_at = format_timestamp(time.time_ns())
        self.restart.cancel()
        self._failure = exc
        if self._pidfd >= 0:
            self._signal(signal.SIGKILL)  # its exit takes the rest of the way
        else:
            self._stdio.process_ended()

    # Ending

    def _exited(self, status: int) -> None:
        self._wait_status = status
        if self._failure is None:
            self._exit_code = exit_code(status)
            self._finished_at = format_timestamp(time.time_ns())
            if self.status is Status.CREATED:
                self.restart.cancel()  # killed before it ran
        self._kill_leftovers()
        self._oom = self._runtime.oom_killed()
        if self._health is not None:
            self._health.stop()
        self._stdio.process_ended()

    def _kill_leftovers(self) -> None:
        """Without a PID namespace of its own the container's other processes outlive its first."""
        if self._request["facts"]["own_pid_namespace"]:
            return
        try:
            self._runtime.signal_all(signal.SIGKILL)
        except WherryError as exc:
            report(f"kill remaining processes: {exc}")

    def _output_ended(self) -> None:
        """The init is reaped and its output taken: the exit is complete."""
        if self.status is Status.EXITED:
            return
        if self._pidfd >= 0:
            os.close(self._pidfd)
        self._pid, self._pidfd = 0, -1
        if self._stdio.clients:
            self._old_stdio.append(self._stdio)
        delay = self.restart.after_exit(self._exit_code, self._loop.clock() - self._began)
        self.status = Status.EXITED if delay is None else Status.RESTARTING
        self._record(delay)
        if delay is not None:
            self._runtime.delete()
            self._stdio = self._new_stdio()
            self._restart_timer = self._loop.call_later(delay, self._restart)
            return
        self._over()

    def _record(self, delay: float | None, *, repeated: bool = False) -> None:
        """``repeated``: the same exit once more, whose restart is called off."""
        if self._oom and not repeated:
            self._told.tell({"event": "oom"})
        status = {
            "event": "exited",
            "id": self._request["id"],
            "code": self._exit_code,
            "oom": self._oom,
            "error": self._error,
            "started_at": self._started_at,
            "finished_at": self._finished_at,
            "restarting": delay is not None,
            "restart_count": self.restart.count,
            "delay_seconds": delay,
            "repeated": repeated,
        }
        event = self._told.note(status)
        try:
            durable = delay is None and not self._watched()
            write_exit(self._request["data_dir"], {**event, "told": self._told.entries}, durable=durable)
        except OSError as exc:
            report(f"write exit status: {exc}")
        self._told.send(event)

    def _over(self) -> None:
        # Not at once: the request that brought us here is still to be answered.
        self.execs.when_done(lambda: self._loop.call_later(0, self._free))

    def _free(self) -> None:
        self._runtime.delete()
        self._sandbox.close()
        if self._log is not None:
            self._log.close()
        if self._stops is not None:
            self._stops.finish()
        self._freed = True
        self._on_over()

    def _restart(self) -> None:
        self._restart_timer = None
        self._failure = None
        self._error = ""
        self.create()
        try:
            self.start()
        except WherryError as exc:
            report(f"restart: {exc}")

    def _client_gone(self) -> None:
        self._old_stdio = [stdio for stdio in self._old_stdio if stdio.clients]
        if self._freed and not self.flushing:
            self._on_over()

    @property
    def flushing(self) -> bool:
        """Whether clients still read output of a run that is over."""
        return bool(self._old_stdio) or self.execs.flushing

    # Control

    def _require_running(self) -> None:
        if self.status not in (Status.RUNNING, Status.PAUSED):
            raise NotRunning(f"container {self._request['id']} is not running")

    def _signal(self, number: int) -> None:
        try:
            send_signal(self._pidfd, number)
        except ProcessLookupError:
            pass  # it ended; its exit is on the way

    def kill(self, number: int, *, everyone: bool) -> None:
        """Signal the init or everyone. SIGKILL and the stop signal mean that a person wants it down."""
        self._require_running()
        final = number in (signal.SIGKILL, self._request.get("stop_signal", signal.SIGTERM))
        if final:
            self.restart.cancel()
        if everyone:
            self._runtime.signal_all(number)
        else:
            self._signal(number)
        if final and self.status is Status.PAUSED:
            self.resume()

    def stop(self, number: int, timeout_seconds: float, done: Done) -> None:
        """Signal, then kill; ``done`` is called when the exit is complete or cannot be reached (R34, R35)."""
        if self.cancel_restart() or self.status is Status.EXITED or self._pidfd < 0:
            done(None)
            return
        if self._stops is None:
            self._stops = Stops(self._loop, self._signal_down, self._unkillable)
        self._stops.begin(number, timeout_seconds, done)

    def _signal_down(self, number: int) -> bool:
        """Signal the init, thawing it to hear it; whether there is one."""
        if self._pidfd < 0:
            return False
        self._signal(number)
        if self.status is Status.PAUSED:
            self.resume()
        return True

    def _unkillable(self) -> WherryError:
        return Unavailable(f"container {self._request['id']} PID {self._pid} is zombie and can not be killed")

    def cancel_restart(self) -> bool:
        """No restart any more; True when that ended a container that waited for one."""
        self.restart.cancel()
        if self._restart_timer is None:
            return False
        self._restart_timer.cancel()
        self._restart_timer = None
        self.status = Status.EXITED
        self._record(None, repeated=True)
        self._over()
        return True

    def pause(self) -> None:
        """Freeze. Raises Conflict in Docker's words."""
        if self.status is Status.PAUSED:
            raise Conflict(f"Container {self._request['id']} is already paused")
        self._require_running()
        self._runtime.pause()
        self.status = Status.PAUSED
        self._told.tell({"event": "paused"})

    def resume(self) -> None:
        """Thaw. Raises Conflict in Docker's words."""
        if self.status is not Status.PAUSED:
            raise Conflict(f"Container {self._request['id']} is not paused")
        self._runtime.resume()
        self.status = Status.RUNNING
        self._told.tell({"event": "resumed"})

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size; remembered for restarts."""
        self._size = (height, width)
        self._stdio.resize(height, width)

    def run_exec(
        self, exec_id: str, process: dict[str, Any], client: tuple[int, AttachOptions] | None, memo: Any
    ) -> int:
        """See :meth:`ExecSessions.run`."""
        if self.status is not Status.RUNNING:
            if client is not None:
                os.close(client[0])
            if self.status is Status.PAUSED:
                raise Conflict(f"Container {self._request['id']} is paused, unpause the container before exec")
            self._require_running()
        return self.execs.run(exec_id, process, client, memo)

    def update(self, resources: dict[str, Any]) -> None:
        """Change limits now, and for restarts. InvalidParameter for a value that the kernel does not take."""
        try:
            self._runtime.update(resources)
        except WherryError as exc:
            if isinstance(exc.__cause__, OSError) and exc.__cause__.errno in (errno.EINVAL, errno.ERANGE):
                raise InvalidParameter(exc.message) from exc
            raise

    def change_network(self, change: dict[str, Any]) -> None:
        """See :meth:`Sandbox.change`."""
        self._require_running()
        self._sandbox.change(change)

    def stats(self) -> dict[str, Any]:
        """A sample of the cgroups, and of the network interfaces."""
        self._require_running()
        return {**self._runtime.stats(), "networks": self._sandbox.counters()}

    def processes(self) -> list[int]:
        """Host pids of every process."""
        self._require_running()
        return self._runtime.pids()

    def describe(self) -> dict[str, Any]:
        """The answer to ``state``."""
        return {
            "status": str(self.status),
            "pid": self._pid,
            "monitor_pid": os.getpid(),
            "started_at": self._started_at,
            "finished_at": self._finished_at,
            "exit_code": self._exit_code,
            "oom": self._oom,
            "error": self._error,
            "restart_count": self.restart.count,
            "health": self._health.state.describe() if self._health is not None else None,
            "execs": self.execs.ids,
            "known_execs": self.execs.known,
            "told": self._told.entries,
        }

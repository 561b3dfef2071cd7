"""Processes that ``exec`` runs beside the container's init, each with its own streams and client."""

from __future__ import annotations

import os
from collections.abc import Callable

from wherry.errors import Conflict, NotFound
from wherry.linux.pidfd import send_signal
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.container_runtime import ContainerRuntime, Running
from wherry.monitor.exit_status import exit_code
from wherry.monitor.loop import Loop
from wherry.monitor.stdio import Stdio, Streams
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, TypeAlias

Emit: TypeAlias = "Callable[[dict[str, Any]], object]"

# Ended ones that an engine may still be asked about.
_REMEMBERED = 16


class ExecSessions:
    """Every exec of one container. ``emit`` takes events; ``on_flushed`` is called when the last client of an exec
    that is over has read everything."""

    def __init__(self, loop: Loop, runtime: ContainerRuntime, emit: Emit, on_flushed: Callable[[], None]) -> None:
        self._loop = loop
        self._runtime = runtime
        self._emit = emit
        self._live: dict[str, ExecSession] = {}
        self._known: dict[str, dict[str, Any]] = {}
        self._flushing: set[ExecSession] = set()
        self._on_flushed = on_flushed
        self._when_done: Callable[[], object] | None = None

    def run(
        self, exec_id: str, process: dict[str, Any], client: tuple[int, AttachOptions] | None, memo: Any = None
    ) -> int:
        """Start ``process``; its pid. The client's descriptor is ours, in failure too; ``memo`` is the engine's own,
        given back by :attr:`known`. Raises Conflict for an id in use, RuntimeFailure with Docker's exit code."""
        if exec_id in self._live:
            if client is not None:
                os.close(client[0])
            raise Conflict(f"exec {exec_id} is already running")
        session = ExecSession(self._loop, exec_id, self._ended)
        try:
            streams = Streams(terminal=bool(process.get("terminal")), stdin=client is not None and client[1].stdin)
            running = session.start(streams, lambda: self._runtime.exec(process, streams), client)
        except BaseException:
            if client is not None:
                # Only this copy: the engine still answers the error on the connection.
                os.close(client[0])
            raise
        self._live[exec_id] = session
        if memo is not None:
            self._known[exec_id] = {"pid": running.pid, "code": None, "memo": memo}
        self._emit({"event": "exec_started", "exec_id": exec_id, "pid": running.pid})
        return running.pid

    def _ended(self, session: ExecSession, code: int) -> None:
        del self._live[session.exec_id]
        if session.exec_id in self._known:
            self._known[session.exec_id]["code"] = code
            ended = [exec_id for exec_id in self._known if exec_id not in self._live]
            for exec_id in ended[:-_REMEMBERED]:
                del self._known[exec_id]
        if session.stdio.clients:
            self._flushing.add(session)
            session.when_flushed = lambda: self._flushed(session)
        self._emit({"event": "exec_exited", "exec_id": session.exec_id, "code": code})
        if not self._live and self._when_done is not None:
            self._when_done()

    def _flushed(self, session: ExecSession) -> None:
        self._flushing.discard(session)
        self._on_flushed()

    def when_done(self, call: Callable[[], object]) -> None:
        """Call once no exec runs any more; they die with the container's init."""
        self._when_done = call
        if not self._live:
            call()

    def resize(self, exec_id: str, height: int, width: int) -> None:
        """Set the size of a live exec's terminal. Raises NotFound."""
        self._find(exec_id).stdio.resize(height, width)

    def signal(self, exec_id: str, number: int) -> None:
        """Signal a live exec's process. Raises NotFound."""
        self._find(exec_id).signal(number)

    def _find(self, exec_id: str) -> ExecSession:
        session = self._live.get(exec_id)
        if session is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return session

    @property
    def ids(self) -> list[str]:
        """Those that run."""
        return list(self._live)

    @property
    def known(self) -> dict[str, dict[str, Any]]:
        """``pid``, ``code`` (None while it runs) and ``memo`` of those that run and of the last that ended, by id."""
        return self._known

    @property
    def flushing(self) -> bool:
        """Whether clients still read what ended execs printed."""
        return bool(self._flushing)


class ExecSession:
    """One process. ``on_end(session, code)`` is called when it is reaped and its output was taken."""

    def __init__(self, loop: Loop, exec_id: str, on_end: Callable[[ExecSession, int], None]) -> None:
        self.exec_id = exec_id
        self.when_flushed: Callable[[], None] | None = None
        self._loop = loop
        self._on_end = on_end
        self._code = 0
        self._pidfd = -1
        self.stdio = Stdio(
            loop,
            log=None,
            stdin_once=True,
            on_end=self._finish,
            on_detach=lambda: None,
            on_client_gone=self._client_gone,
        )

    def start(
        self, streams: Streams, launch: Callable[[], Running], client: tuple[int, AttachOptions] | None
    ) -> Running:
        """Launch it on ``streams`` and take the client over. When it raises nothing is left, and the client's
        descriptor is the caller's."""
        try:
            running = launch()
        except BaseException:
            streams.close()
            raise
        streams.close_child()
        self._pidfd = running.pidfd
        self._loop.watch_child(running.pid, self._exited)
        self.stdio.begin(streams, running.console_fd)
        if client is not None:
            self.stdio.attach(*client)
        return running

    def signal(self, number: int) -> None:
        """Signal the process; one that just ended is no error."""
        try:
            send_signal(self._pidfd, number)
        except ProcessLookupError:
            pass  # reaped in this round of the loop

    def _exited(self, status: int) -> None:
        self._code = exit_code(status)
        self.stdio.process_ended()

    def _finish(self) -> None:
        os.close(self._pidfd)
        self._on_end(self, self._code)

    def _client_gone(self) -> None:
        if self.when_flushed is not None and not self.stdio.clients:
            self.when_flushed()

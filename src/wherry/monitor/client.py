"""The engine's side of zygote and monitor.

One :class:`Dispatcher` per engine reads every connection (one epoll thread) and runs event callbacks in
order on a second thread, so that a callback may send requests itself. Every method here may be called from
any thread.
"""

import os
import socket
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from wherry.errors import Unavailable
from wherry.linux.fdsocket import connect_unix
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.channel import Channel, Dispatcher, Event, EventCallback, MonitorGone
from wherry.monitor.container_spec import seal_spec, spec_facts
from wherry.monitor.fingerprint import code_fingerprint
from wherry.monitor.protocol import PROTOCOL_VERSION, SPAWN, Message, send
from wherry.runtime.failure import StartFailed
from wherry.settings import Settings

__all__ = ["Dispatcher", "Event", "EventCallback", "MonitorConnection", "MonitorGone", "StartFailed", "Zygote"]

_SETTLE_SECONDS = 10.0


class MonitorConnection:
    """One container's monitor. Events come as dicts with ``event`` and ``id`` (see protocol.py and seams.md);
    ``disconnected`` is the last one: after ``exited`` with ``restarting`` false it is the normal end, without
    it the monitor was killed and the engine must kill the container's cgroup (R15)."""

    def __init__(self, endpoint: socket.socket, dispatcher: Dispatcher, container_id: str) -> None:
        self.container_id = container_id
        self._dispatcher = dispatcher
        self._events_lock = threading.Lock()
        self._early: list[Event] | None = []
        self._callback: EventCallback | None = None
        self._channel = Channel(endpoint, dispatcher, f"monitor of container {container_id[:12]}", self._on_event)

    @classmethod
    def connect(cls, run_dir: str, container_id: str, dispatcher: Dispatcher) -> "MonitorConnection":
        """Connect to a live monitor (``run_dir`` is the container's); subscribed from the first moment.
        Raises MonitorGone when none listens there."""
        try:
            endpoint = connect_unix(f"{run_dir}/monitor.sock", socket.SOCK_SEQPACKET)
        except OSError as exc:
            raise MonitorGone(f"connect to monitor of container {container_id[:12]}: {exc.strerror}") from exc
        return cls(endpoint, dispatcher, container_id)

    def subscribe(self, callback: EventCallback) -> None:
        """Call ``callback`` (events thread) for every event since the connection began, in order."""
        with self._events_lock:
            early, self._early = self._early or [], None
            self._callback = callback
            for event in early:
                self._dispatcher.run_later(partial(callback, event))

    def _on_event(self, event: Event) -> None:
        event.setdefault("id", self.container_id)
        with self._events_lock:
            if self._early is not None:
                self._early.append(event)
                return
            callback = self._callback
            assert callback is not None
            self._dispatcher.run_later(lambda: callback(event))

    def start(self, *, timeout_seconds: float = 120.0) -> dict[str, Any]:
        """Let the created container execve; ``{"pid", "started_at"}``. Raises StartFailed."""
        return self._ask({"op": "start"}, timeout_seconds=timeout_seconds)

    def state(self) -> dict[str, Any]:
        """``status`` (created running paused restarting exited), ``pid``, ``started_at``, ``finished_at``,
        ``exit_code``, ``oom``, ``error``, ``restart_count``, ``health``, ``execs`` (ids that run), ``known_execs``
        (exec_session.py), ``told`` (told.py)."""
        return self._ask({"op": "state"})

    def kill(self, signal: int, *, everyone: bool = False) -> None:
        """Signal the init, or with ``everyone`` every process. Raises Conflict when it does not run."""
        self._ask({"op": "kill", "signal": signal, "all": everyone})

    def stop(self, signal: int, timeout_seconds: float) -> None:
        """Signal, SIGKILL after the time-out (negative: never), no restart afterwards. Returns when the exit is
        recorded and ``exited`` was sent; Unavailable 2 s after a SIGKILL that did not help (R35)."""
        reply_timeout = 1e9 if timeout_seconds < 0 else timeout_seconds + 30.0
        self._ask({"op": "stop", "signal": signal, "timeout": timeout_seconds}, timeout_seconds=reply_timeout)

    def cancel_restart(self) -> None:
        """Never restart again; a container that waits for its restart is over now."""
        self._ask({"op": "cancel_restart"})

    def set_restart(self, policy: str, max_retries: int = 0) -> None:
        """Another restart policy, in force from the next exit."""
        self._ask({"op": "set_restart", "policy": policy, "max_retries": max_retries})

    def resize(self, height: int, width: int) -> None:
        """Set the terminal's size."""
        self._ask({"op": "resize", "height": height, "width": width})

    def attach(self, fd: int, options: AttachOptions) -> None:
        """Hand the client's socket over (duplicated; the caller closes its own)."""
        self._ask({"op": "attach", "attach": options.to_message()}, [fd])

    def exec(
        self,
        exec_id: str,
        process: dict[str, Any],
        *,
        fd: int | None = None,
        options: AttachOptions | None = None,
        memo: Any = None,
    ) -> int:
        """Run ``process`` (an OCI process object) in the container; its pid. ``fd`` is the client's socket;
        ``options.stdin`` decides whether the process gets a pipe or /dev/null. ``memo`` (JSON) is kept for the next
        engine, which finds it in :meth:`state`. Raises StartFailed."""
        message: Message = {"op": "exec", "exec_id": exec_id, "process": process, "memo": memo}
        if fd is not None:
            message["attach"] = (options or AttachOptions()).to_message()
        return int(self._ask(message, [] if fd is None else [fd])["pid"])

    def exec_resize(self, exec_id: str, height: int, width: int) -> None:
        """Set the size of an exec's terminal. Raises NotFound when it is over."""
        self._ask({"op": "exec_resize", "exec_id": exec_id, "height": height, "width": width})

    def exec_signal(self, exec_id: str, signal: int) -> None:
        """Signal an exec's process by its pidfd. Raises NotFound when it is over."""
        self._ask({"op": "exec_signal", "exec_id": exec_id, "signal": signal})

    def pause(self) -> None:
        """Freeze every process. Raises Conflict when it is paused or not running."""
        self._ask({"op": "pause"})

    def resume(self) -> None:
        """Thaw. Raises Conflict when it is not paused."""
        self._ask({"op": "resume"})

    def update(self, resources: dict[str, Any]) -> None:
        """Apply an OCI ``linux.resources`` object."""
        self._ask({"op": "update", "resources": resources})

    def change_network(
        self, *, add: Sequence[Any], remove: Sequence[str], routes: Sequence[Any], dns: Mapping[str, Any] | None
    ) -> None:
        """Add and remove interfaces of the plan, and set its routes and its ``dns`` part, now and for restarts.
        Raises StartFailed when the kernel refuses: then nothing has changed."""
        self._ask({"op": "network", "add": add, "remove": remove, "routes": routes, "dns": dns})

    def stats(self) -> dict[str, Any]:
        """What ``runtime.cgroups.Cgroups.stats`` gives, and ``networks``: interface → counters."""
        return self._ask({"op": "stats"})

    def processes(self) -> list[int]:
        """The host pids of every process in the container's cgroup."""
        return list(self._ask({"op": "processes"})["pids"])

    def settle(self) -> None:
        """Wait until every event that came before the last answer was told. Not to be called from a callback."""
        told = threading.Event()
        self._dispatcher.run_later(told.set)
        told.wait(_SETTLE_SECONDS)

    def close(self) -> None:
        """Hang up; the container and its monitor go on."""
        self._channel.close()

    def _ask(self, message: Message, fds: Sequence[int] = (), *, timeout_seconds: float = 60.0) -> dict[str, Any]:
        value, received = self._channel.request(message, fds, timeout_seconds=timeout_seconds)
        for fd in received:
            os.close(fd)
        return value or {}


class Zygote:
    """The process that forks monitors. ``on_lost`` is called when it dies (the engine should then exit)."""

    def __init__(self, endpoint: socket.socket, dispatcher: Dispatcher, on_lost: Callable[[], None]) -> None:
        self._dispatcher = dispatcher
        self._on_lost = on_lost
        self._closed = False
        self._channel = Channel(endpoint, dispatcher, "zygote", self._on_event)

    @classmethod
    def connect(cls, settings: Settings, dispatcher: Dispatcher, on_lost: Callable[[], None]) -> "Zygote":
        """Connect by name; an engine that the zygote started uses :meth:`inherited`."""
        try:
            endpoint = connect_unix(settings.zygote_socket, socket.SOCK_SEQPACKET)
        except OSError as exc:
            raise Unavailable(f"connect to zygote {settings.zygote_socket}: {exc.strerror}") from exc
        return cls(endpoint, dispatcher, on_lost)

    @classmethod
    def inherited(cls, dispatcher: Dispatcher, on_lost: Callable[[], None]) -> "Zygote":
        """The connection that the zygote passed (``WHERRY_ZYGOTE_FD``). Raises Unavailable when there is none."""
        fd = os.environ.get("WHERRY_ZYGOTE_FD")
        if fd is None:
            raise Unavailable("no zygote started this engine", hint="Start it with `wherry serve`.")
        return cls(socket.socket(fileno=int(fd)), dispatcher, on_lost)

    def version(self) -> dict[str, Any]:
        """``{"protocol", "fingerprint", "pid"}`` of the running zygote."""
        return dict(self._channel.request({"op": "version"})[0])

    def replace_if_stale(self) -> bool:
        """When the zygote runs other code than this engine would (an upgrade), let it re-execute itself from disk;
        monitors, sockets and this engine are unaffected. Whether it did."""
        described = self.version()
        if described["fingerprint"] == code_fingerprint() and described["protocol"] == PROTOCOL_VERSION:
            return False
        self._channel.request({"op": "replace"})
        return True

    def ready(self) -> None:
        """Tell that the engine accepts connections (ends the zygote's count of failed starts)."""
        self._channel.request({"op": "ready"})

    def spawn(
        self,
        request: dict[str, Any],
        *,
        listeners: Sequence[int] = (),
        attach: Sequence[tuple[int, AttachOptions]] = (),
    ) -> MonitorConnection:
        """Have a monitor forked, which begins to create the container at once (start request of seams.md); follow
        with :meth:`MonitorConnection.start`. Descriptors are duplicated; the caller closes its own.

        Raises Unavailable.
        """
        spec = request["spec"]
        message: Message = {
            "op": "begin",
            "request": {**{key: request[key] for key in request if key != "spec"}, "facts": spec_facts(spec)},
            "listeners": len(listeners),
            "attach": [options.to_message() for _, options in attach],
        }
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        spec_fd = -1
        try:
            self._channel.send_raw(SPAWN, [theirs.fileno()])
            spec_fd = seal_spec(spec)
            send(ours, message, [spec_fd, *listeners, *(fd for fd, _ in attach)])
        except BaseException as exc:
            ours.close()
            if isinstance(exc, OSError):
                raise Unavailable(f"start monitor: {exc.strerror}") from exc
            raise
        finally:
            theirs.close()
            if spec_fd >= 0:
                os.close(spec_fd)
        return MonitorConnection(ours, self._dispatcher, request["id"])

    def close(self) -> None:
        """Hang up without calling ``on_lost``."""
        self._closed = True
        self._channel.close()

    def _on_event(self, event: Event) -> None:
        if event["event"] == "disconnected" and not self._closed:
            self._on_lost()

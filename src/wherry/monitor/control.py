"""The monitor's socket: engines connect, ask, and hear events. Any number may be connected; one that does not read
its events is hung up on, and finds the state again when it reconnects."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from functools import partial

from wherry.errors import Conflict, InvalidParameter, NotFound, System, Unavailable, WherryError
from wherry.linux.fdsocket import listen_unix
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.container import Container
from wherry.monitor.diagnostics import report
from wherry.monitor.loop import EPOLLIN, Loop
from wherry.monitor.protocol import Message, ProtocolError, Receiver, send
from wherry.monitor.stop import Done
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure

if TYPE_CHECKING:
    from typing import Any, TypeAlias

_KINDS: tuple[tuple[type[WherryError], str], ...] = (
    (NotFound, "not_found"),
    (Conflict, "conflict"),
    (InvalidParameter, "invalid"),
    (Unavailable, "unavailable"),
)


def error_message(exc: WherryError) -> Message:
    """The ``error`` object of an answer."""
    if isinstance(exc, RuntimeFailure):
        return {"kind": "start_failed", "message": exc.message, "exit_code": exc.exit_code}
    kind = next((name for kind, name in _KINDS if isinstance(exc, kind)), "system")
    return {"kind": kind, "message": exc.message}


class Control:
    """Listens on ``<run_dir>/monitor.sock`` once :meth:`listen` is called."""

    def __init__(self, loop: Loop, container_id: str) -> None:
        self._loop = loop
        self._id = container_id
        self._peers: dict[int, Peer] = {}
        self._listener: socket.socket | None = None
        self.container: Container | None = None

    def listen(self, path: str) -> None:
        """Bind and serve. Raises OSError."""
        self._listener = listen_unix(path, socket.SOCK_SEQPACKET)
        self._listener.setblocking(False)
        self._loop.add(self._listener.fileno(), EPOLLIN, self._accept)

    def _accept(self, _events: int) -> None:
        assert self._listener is not None
        try:
            endpoint, _ = self._listener.accept()
        except OSError:
            return  # the peer gave up, or no descriptor is free: it will try again
        self.add(endpoint)

    def add(self, endpoint: socket.socket) -> None:
        """Serve a connected engine."""
        endpoint.setblocking(False)
        self._peers[endpoint.fileno()] = Peer(endpoint, self)
        self._loop.add(endpoint.fileno(), EPOLLIN, self._peers[endpoint.fileno()].on_ready)

    def drop(self, peer: Peer) -> None:
        """Hang up; idempotent."""
        if self._peers.pop(peer.fd, None) is not None:
            self._loop.remove(peer.fd)
            peer.close()

    def watched(self) -> bool:
        """Whether an engine hears events."""
        return bool(self._peers)

    def emit(self, event: Message) -> None:
        """Send an event to every engine."""
        message = {**event, "id": self._id}
        for peer in tuple(self._peers.values()):
            peer.send(message)

    def close(self) -> None:
        """Hang up on everybody: the container is over and its resources are free."""
        if self._listener is not None:
            self._loop.remove(self._listener.fileno())
            self._listener.close()
            self._listener = None
        for peer in tuple(self._peers.values()):
            self.drop(peer)


class Peer:
    """One connected engine."""

    def __init__(self, endpoint: socket.socket, control: Control) -> None:
        self._endpoint = endpoint
        self._receiver = Receiver(endpoint)
        self._control = control
        self.fd = endpoint.fileno()

    def on_ready(self, _events: int) -> None:
        """Answer what has come."""
        while self._endpoint.fileno() >= 0:
            try:
                received = self._receiver.receive(socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            except (ProtocolError, OSError) as exc:
                report(f"engine connection: {exc}")
                received = None
            if received is None:
                self._control.drop(self)
                return
            self._answer(*received)

    def _answer(self, message: Message, fds: list[int]) -> None:
        sequence = message.get("seq")
        container = self._control.container
        handler = _HANDLERS.get(message.get("op", ""))
        try:
            if handler is None or container is None:
                raise Unavailable(f"monitor does not know {message.get('op')}")
            taken, fds = fds, []
            value = handler(container, message, taken, partial(self._done, sequence))
        except WherryError as exc:
            self.send({"seq": sequence, "error": error_message(exc)})
        except (KeyError, TypeError, ValueError) as exc:
            self.send({"seq": sequence, "error": error_message(InvalidParameter(f"{message.get('op')}: {exc!r}"))})
        except OSError as exc:
            error = System(f"{message.get('op')}: {exc.strerror or exc}")
            self.send({"seq": sequence, "error": error_message(error)})
        else:
            if value is not _LATER:
                self.send({"seq": sequence, "ok": value})
        for fd in fds:
            os.close(fd)

    def _done(self, sequence: Any, error: WherryError | None) -> None:
        self.send(
            {"seq": sequence, "ok": None} if error is None else {"seq": sequence, "error": error_message(error)}
        )

    def send(self, message: Message) -> None:
        """Send without waiting; a peer that is gone or does not read is hung up on."""
        if self._endpoint.fileno() < 0:
            return
        try:
            send(self._endpoint, message)
        except OSError:
            self._control.drop(self)

    def close(self) -> None:
        """Close the socket."""
        self._receiver.close()
        self._endpoint.close()


Handler: TypeAlias = "Callable[[Container, Message, list[int], Done], Any]"
_LATER = object()  # the handler answers through ``done``


def _attach(container: Container, message: Message, fds: list[int], _done: Done) -> None:
    container.attach(fds[0], AttachOptions.from_message(message["attach"]))


def _exec(container: Container, message: Message, fds: list[int], _done: Done) -> Message:
    client = (fds[0], AttachOptions.from_message(message["attach"])) if fds else None
    return {"pid": container.run_exec(message["exec_id"], message["process"], client, message.get("memo"))}


def _stop(container: Container, message: Message, _fds: list[int], done: Done) -> object:
    container.stop(message["signal"], message["timeout"], done)
    return _LATER


def _cancel_restart(container: Container, _message: Message, _fds: list[int], _done: Done) -> None:
    container.cancel_restart()


_HANDLERS: dict[str, Handler] = {
    "start": lambda container, _m, _f, _d: container.start(),
    "state": lambda container, _m, _f, _d: container.describe(),
    "kill": lambda container, m, _f, _d: container.kill(m["signal"], everyone=m["all"]),
    "stop": _stop,
    "cancel_restart": _cancel_restart,
    "set_restart": lambda container, m, _f, _d: container.restart.change(m["policy"], m["max_retries"]),
    "resize": lambda container, m, _f, _d: container.resize(m["height"], m["width"]),
    "attach": _attach,
    "exec": _exec,
    "exec_resize": lambda container, m, _f, _d: container.execs.resize(m["exec_id"], m["height"], m["width"]),
    "exec_signal": lambda container, m, _f, _d: container.execs.signal(m["exec_id"], m["signal"]),
    "pause": lambda container, _m, _f, _d: container.pause(),
    "resume": lambda container, _m, _f, _d: container.resume(),
    "update": lambda container, m, _f, _d: container.update(m["resources"]),
    "network": lambda container, m, _f, _d: container.change_network(m),
    "stats": lambda container, _m, _f, _d: container.stats(),
    "processes": lambda container, _m, _f, _d: {"pids": container.processes()},
}

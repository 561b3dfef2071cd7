"""Requests, answers and events over the sockets of zygote and monitors: the engine's reading side."""

import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any

from wherry.errors import Conflict, InvalidParameter, NotFound, System, Unavailable, WherryError
from wherry.linux.fdsocket import send_with_fds
from wherry.monitor.protocol import Message, ProtocolError, Receiver, is_disconnect, send
from wherry.runtime.failure import StartFailed

Event = dict[str, Any]
EventCallback = Callable[[Event], None]

_REPLY_TIMEOUT_SECONDS = 60.0
_KINDS: dict[str, type[WherryError]] = {
    "not_found": NotFound,
    "conflict": Conflict,
    "invalid": InvalidParameter,
    "unavailable": Unavailable,
}


class MonitorGone(Unavailable):
    """The monitor's connection ended: the container's last exit was recorded, or the monitor was killed."""


class Dispatcher:
    """Reads all connections. ``close`` ends both threads and what is still connected."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._channels: dict[int, Channel] = {}
        self._lock = threading.Lock()
        self._events: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._epoll.register(self._wake, select.EPOLLIN)
        self._closing = False
        self._threads = (
            threading.Thread(target=self._read, name="monitor-reader", daemon=True),
            threading.Thread(target=self._call, name="monitor-events", daemon=True),
        )
        for thread in self._threads:
            thread.start()

    def add(self, channel: "Channel") -> None:
        """Begin to read ``channel``."""
        with self._lock:
            self._channels[channel.fd] = channel
        self._epoll.register(channel.fd, select.EPOLLIN)

    def run_later(self, call: Callable[[], None]) -> None:
        """Run ``call`` on the events thread after everything queued before it."""
        self._events.put(call)

    def close(self) -> None:
        """End both threads and every connection; idempotent. Not to be called from a callback."""
        if not self._closing:
            self._closing = True
            os.eventfd_write(self._wake, 1)
            self._events.put(None)
            for thread in self._threads:
                thread.join()
            # Here and not by the reader: it may see the flag before the wake-up was written.
            self._epoll.close()
            os.close(self._wake)

    def _read(self) -> None:
        while not self._closing:
            for fd, _ in self._epoll.poll():
                channel = self._channels.get(fd)
                if channel is not None and not channel.read_ready():
                    self._epoll.unregister(fd)
                    with self._lock:
                        del self._channels[fd]
                    channel.finish()
        for channel in tuple(self._channels.values()):
            channel.finish()

    def _call(self) -> None:
        while (call := self._events.get()) is not None:
            try:
                call()
            except Exception as exc:  # a bug in one subscriber must not silence the others
                threading.excepthook(
                    threading.ExceptHookArgs((type(exc), exc, exc.__traceback__, threading.current_thread()))
                )


class Channel:
    """Requests and answers over one seqpacket socket."""

    def __init__(self, endpoint: socket.socket, dispatcher: Dispatcher, name: str, on_event: EventCallback) -> None:
        self._endpoint = endpoint
        self._receiver = Receiver(endpoint)
        self._name = name
        self._on_event = on_event
        self._lock = threading.Lock()
        self._sequence = 0
        self._waiting: dict[int, queue.SimpleQueue[tuple[Message, list[int]] | None]] = {}
        self._gone = False
        self.fd = endpoint.fileno()
        dispatcher.add(self)

    def request(
        self, message: Message, fds: Sequence[int] = (), *, timeout_seconds: float = _REPLY_TIMEOUT_SECONDS
    ) -> tuple[Any, list[int]]:
        """Send and wait for the answer: its value and descriptors. Raises the error that the peer answered,
        MonitorGone when the connection ends first, Unavailable after the time-out."""
        slot: queue.SimpleQueue[tuple[Message, list[int]] | None] = queue.SimpleQueue()
        with self._lock:
            if self._gone:
                raise MonitorGone(f"{self._name} is gone")
            self._sequence += 1
            sequence = self._sequence
            self._waiting[sequence] = slot
            try:
                send(self._endpoint, {**message, "seq": sequence}, fds)
            except OSError as exc:
                del self._waiting[sequence]
                if is_disconnect(exc):
                    raise MonitorGone(f"{self._name} is gone") from exc
                raise System(f"send {message['op']} to {self._name}: {exc.strerror}") from exc
        try:
            answer = slot.get(timeout=timeout_seconds)
        except queue.Empty:
            with self._lock:
                self._waiting.pop(sequence, None)
            raise Unavailable(f"{self._name} did not answer {message['op']} within {timeout_seconds:g} s") from None
        if answer is None:
            raise MonitorGone(f"{self._name} is gone")
        reply, received = answer
        if "error" in reply:
            raise _error(reply["error"])
        return reply.get("ok"), received

    def send_raw(self, packet: bytes, fds: Sequence[int]) -> None:
        """Send a packet that nobody answers. Raises MonitorGone."""
        with self._lock:
            if self._gone:
                raise MonitorGone(f"{self._name} is gone")
            try:
                send_with_fds(self._endpoint, packet, list(fds))
            except OSError as exc:
                raise MonitorGone(f"{self._name} is gone") from exc

    def read_ready(self) -> bool:
        """Take what is there; False at the end of the connection."""
        try:
            while (received := self._receiver.receive(socket.MSG_DONTWAIT)) is not None:
                self._take(*received)
        except BlockingIOError:
            return True
        except (ProtocolError, OSError):
            return False  # a peer that talks nonsense or was reset is treated as gone
        return False

    def _take(self, message: Message, fds: list[int]) -> None:
        if "event" in message:
            self._on_event(message)
            return
        with self._lock:
            slot = self._waiting.pop(message.get("seq", 0), None)
        if slot is not None:
            slot.put((message, fds))
            return
        for fd in fds:
            os.close(fd)

    def finish(self) -> None:
        """The connection ended: wake every waiter."""
        with self._lock:
            self._gone = True
            waiting, self._waiting = self._waiting, {}
            self._receiver.close()
            self._endpoint.close()
        for slot in waiting.values():
            slot.put(None)
        self._on_event({"event": "disconnected"})

    def close(self) -> None:
        """Hang up; the dispatcher closes the descriptor when it sees the end. Idempotent."""
        with self._lock:
            if not self._gone:
                try:
                    self._endpoint.shutdown(socket.SHUT_RDWR)
                except OSError as exc:
                    if not is_disconnect(exc):
                        raise


def _error(error: Message) -> WherryError:
    if error["kind"] == "start_failed":
        return StartFailed(error["message"], exit_code=error["exit_code"])
    return _KINDS.get(error["kind"], System)(error["message"])

"""Notices that a client went away while its request is being worked on (R28, R29).

A thread that waits for a container, follows a log or sends events does not read its socket, so nobody would
see the client leave. One watcher thread polls those sockets for hang-up and sets the request's
:class:`Disconnect`. As in Go's server, a client that shuts its sending side down counts as gone; hijacked
connections are not watched, there half-close has a meaning of its own.
"""

import contextlib
import select
import socket
import threading
from collections.abc import Callable

_GONE = select.POLLRDHUP | select.POLLHUP | select.POLLERR


class Disconnect(threading.Event):
    """Set once when the client has gone, or when the engine gives the request up.

    ``is_set`` and ``wait`` as in Event; ``on_set`` registers a callback for code that sleeps elsewhere.
    """

    def __init__(self) -> None:
        super().__init__()
        self._callbacks: list[Callable[[], object]] = []
        self._callbacks_lock = threading.Lock()

    def set(self) -> None:
        """Wake every waiter and run the callbacks, each once."""
        super().set()
        with self._callbacks_lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    def on_set(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` (quick, from another thread) when set; at once if it is set already."""
        with self._callbacks_lock:
            if not self.is_set():
                self._callbacks.append(callback)
                return
        callback()


class DisconnectWatcher:
    """One epoll thread for all watched sockets; started with the first one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._epoll: select.epoll | None = None
        self._watched: dict[int, tuple[socket.socket, Disconnect]] = {}
        self._released = False

    def watch(self, sock: socket.socket) -> Disconnect:
        """A Disconnect that follows ``sock``; :meth:`forget` must be called before the socket is closed."""
        disconnect = Disconnect()
        with self._lock:
            if self._released:
                disconnect.set()
                return disconnect
            if self._epoll is None:
                self._epoll = select.epoll()
                threading.Thread(target=self._run, args=(self._epoll,), name="disconnects", daemon=True).start()
            self._watched[sock.fileno()] = (sock, disconnect)
            self._epoll.register(sock.fileno(), select.EPOLLRDHUP | select.EPOLLONESHOT)
        return disconnect

    def forget(self, sock: socket.socket) -> None:
        """Stop watching."""
        with self._lock:
            if self._watched.pop(sock.fileno(), None) and self._epoll is not None:
                self._epoll.unregister(sock.fileno())

    def release_all(self) -> None:
        """Set every Disconnect, now and from now on: the engine stops and long requests must end."""
        with self._lock:
            self._released = True
            disconnects = [disconnect for _, disconnect in self._watched.values()]
        for disconnect in disconnects:
            disconnect.set()

    def _run(self, epoll: select.epoll) -> None:
        while True:
            for fd, _ in epoll.poll():
                with self._lock:
                    found = self._watched.get(fd)
                    # The number may belong to a newer connection by now: ask the socket itself.
                    if found is None or not _hung_up(found[0]):
                        with contextlib.suppress(OSError):  # forgotten between poll and here
                            epoll.modify(fd, select.EPOLLRDHUP | select.EPOLLONESHOT)
                        continue
                found[1].set()


def _hung_up(sock: socket.socket) -> bool:
    poller = select.poll()
    poller.register(sock, select.POLLRDHUP)
    return any(events & _GONE for _, events in poller.poll(0))

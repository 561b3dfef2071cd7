"""The monitor process: forked by the zygote for one start of a container, the parent of its init for life.

It needs no engine: it keeps stdio, writes the log, records the exit, restarts, checks health. One thread, one loop.
Its own files: ``<run_dir>/monitor.sock``; it removes ``run_dir`` when the container is over.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Sequence

from wherry.errors import WherryError
from wherry.linux.fdsocket import connect_unix
from wherry.linux.process import set_child_subreaper, set_command_line
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.container import Container
from wherry.monitor.container_runtime import ContainerRuntime
from wherry.monitor.container_spec import ContainerSpec
from wherry.monitor.control import Control
from wherry.monitor.diagnostics import report, report_bug
from wherry.monitor.diagnostics import set_name as set_report_name
from wherry.monitor.foreign_runtime import ForeignRuntime
from wherry.monitor.loop import Loop
from wherry.monitor.own_runtime import OwnRuntime
from wherry.monitor.protocol import Message, Receiver
from wherry.monitor.proxy import TcpProxy, UdpProxy, serve_proxies, socket_in
from wherry.monitor.sandbox import Sandbox
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any, NoReturn

# How long clients may take to read the rest after the container is over.
_FLUSH_SECONDS = 600.0
_ALL_FDS = 0x7FFFFFFF


def run_monitor(engine_fd: int, *, api_socket: str, argv_area: tuple[int, int]) -> NoReturn:
    """Be the monitor, in a fresh fork of the zygote. ``engine_fd``: the first control connection, on which ``begin``
    comes with the start request. ``argv_area``: where the name for ps goes. Handlers of signals, OOM score and
    non-dumpability are inherited."""
    status = 1
    try:
        # Plain os calls where they do: each layer of Python that is run here is memory that every monitor copies.
        os.setsid()
        os.closerange(3, engine_fd)
        os.closerange(engine_fd + 1, _ALL_FDS)
        set_child_subreaper(on=True)
        set_process_name(b"wherry-monitor")
        engine = socket.socket(fileno=engine_fd)
        received = Receiver(engine).receive()
        if received is not None:
            message, (spec_fd, *fds) = received
            request, listeners, clients = message["request"], fds[: message["listeners"]], fds[message["listeners"] :]
            set_command_line(argv_area, b"wherry-monitor " + request["id"].encode())
            set_report_name(f"monitor {request['id'][:12]}")
            loop = Loop()
            loop.reap_children()
            spec = ContainerSpec(spec_fd)
            runtime: ContainerRuntime
            runtime = ForeignRuntime(request, spec) if request.get("runtime") else OwnRuntime(request, spec)
            monitor = Monitor(loop, request, runtime, api_socket)
            monitor.begin(engine, tuple(zip(clients, message["attach"], strict=True)), listeners)
            loop.run()
        status = 0
    except BaseException as exc:
        report_bug(exc)
    finally:
        os._exit(status)


def set_process_name(name: bytes) -> None:
    """The name for ``ps`` of this process."""
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name)
    os.close(fd)


class Monitor:
    """The parts of a monitor, put together. Makes nothing that outlives the process; the rehearsal runs it too."""

    def __init__(self, loop: Loop, request: dict[str, Any], runtime: ContainerRuntime, api_socket: str) -> None:
        self._loop = loop
        self._run_dir: str = request["run_dir"]
        self._api_socket = api_socket
        self._over = False
        self._proxies: list[TcpProxy | UdpProxy] = []
        self._plan: dict[str, Any] = request.get("network") or {"mode": "none"}
        self._sandbox = Sandbox(self._plan, own_user_namespace=request["facts"]["own_user_namespace"])
        self.control = control = Control(loop, request["id"])
        self.container = control.container = Container(
            loop, request, runtime, self._sandbox, emit=control.emit, watched=control.watched, on_over=self._on_over
        )

    def begin(self, engine: socket.socket, attach: Sequence[tuple[int, Message]], listeners: list[int]) -> None:
        """Serve ``engine`` and ``monitor.sock``, and create the container; a failure is told to who starts it."""
        self.control.listen(f"{self._run_dir}/monitor.sock")
        self.control.add(engine)
        self.container.open_log()
        for fd, options in attach:
            self.container.attach(fd, AttachOptions.from_message(options))
        try:
            self._sandbox.prepare()
            if listeners:
                make = socket_in(self._sandbox.host_fd, self._sandbox.namespace_fd)
                self._proxies += serve_proxies(self._loop, self._plan.get("proxies", []), listeners, make)
        except WherryError as exc:
            self.container.fail_create(exc)
        self.container.create()

    def _on_over(self) -> None:
        if not self._over:
            self._over = True
            # The socket's name goes first: a new monitor of this container may bind it as soon as we hang up.
            unwatched = not self.control.watched()
            for proxy in self._proxies:
                proxy.close()  # a container that wants the same port may start as soon as we hang up
            _remove_tree(self._run_dir)
            self.control.close()
            if unwatched:
                _wake_engine(self._api_socket)
            self._loop.call_later(_FLUSH_SECONDS, self._loop.stop)
        if not self.container.flushing:
            self._loop.stop()


def _wake_engine(api_socket: str) -> None:
    """Connect and hang up: the zygote starts an engine, which finds the exit (``--rm``, networks, ports)."""
    try:
        connect_unix(api_socket, socket.SOCK_STREAM).close()
    except OSError:
        pass  # no zygote either: the next command's engine finds it


def _remove_tree(path: str) -> None:
    """Remove a directory that only we write to, never what is mounted in it. What cannot be removed is swept by the
    engine."""
    try:
        device = os.stat(path, follow_symlinks=False).st_dev
        if device != os.stat(os.path.dirname(path)).st_dev:
            return
        for entry in os.scandir(path):
            if stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode):
                _remove_tree(entry.path)
            else:
                os.unlink(entry.path)
        os.rmdir(path)
    except OSError as exc:
        report(f"remove {path}: {exc.strerror}")

"""The monitor process: forked by the zygote for one start of a container, the parent of its init for life.

It needs no engine: it keeps stdio, writes the log, records the exit, restarts, checks health. One thread, one loop.
Its own files: ``<run_dir>/monitor.sock``; it removes ``run_dir`` when the container is over.
"""

import os
import socket
import stat
import traceback
from typing import Any, NoReturn

from wherry.errors import WherryError
from wherry.linux.fdsocket import connect_unix
from wherry.linux.process import set_child_subreaper
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.container import Container
from wherry.monitor.container_runtime import ContainerRuntime
from wherry.monitor.container_spec import ContainerSpec
from wherry.monitor.control import Control
from wherry.monitor.diagnostics import report
from wherry.monitor.diagnostics import set_name as set_report_name
from wherry.monitor.foreign_runtime import ForeignRuntime
from wherry.monitor.loop import Loop
from wherry.monitor.own_runtime import OwnRuntime
from wherry.monitor.protocol import Receiver
from wherry.monitor.proxy import TcpProxy, UdpProxy, serve_proxies, socket_in
from wherry.monitor.sandbox import Sandbox

# How long clients may take to read the rest after the container is over.
_FLUSH_SECONDS = 600.0
_ALL_FDS = 0x7FFFFFFF


def run_monitor(engine_fd: int, *, api_socket: str) -> NoReturn:
    """Be the monitor, in a fresh fork of the zygote. ``engine_fd``: the first control connection, on which ``begin``
    comes with the start request. Handlers of signals, OOM score and non-dumpability are inherited."""
    status = 1
    try:
        # Plain os calls where they do: each layer of Python that is run here is memory that every monitor copies.
        os.setsid()
        os.closerange(3, engine_fd)
        os.closerange(engine_fd + 1, _ALL_FDS)
        set_child_subreaper(on=True)
        _set_name(b"wherry-monitor")
        engine = socket.socket(fileno=engine_fd)
        received = Receiver(engine).receive()
        if received is not None:
            message, (spec_fd, *fds) = received
            set_report_name(f"monitor {message['request']['id'][:12]}")
            options = [AttachOptions.from_message(item) for item in message["attach"]]
            listeners, clients = fds[: message["listeners"]], fds[message["listeners"] :]
            attached = list(zip(clients, options, strict=True))
            _serve(message["request"], engine, ContainerSpec(spec_fd), listeners, attached, api_socket)
        status = 0
    except BaseException:
        report(traceback.format_exc())
    finally:
        os._exit(status)


def _set_name(name: bytes) -> None:
    fd = os.open("/proc/self/comm", os.O_WRONLY | os.O_CLOEXEC)
    os.write(fd, name)
    os.close(fd)


def _serve(
    request: dict[str, Any],
    engine: socket.socket,
    spec: ContainerSpec,
    listeners: list[int],
    clients: list[tuple[int, AttachOptions]],
    api_socket: str,
) -> None:
    loop = Loop()
    loop.reap_children()
    run_dir = request["run_dir"]
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    control = Control(loop, request["id"])
    control.listen(f"{run_dir}/monitor.sock")
    control.add(engine)

    plan = request.get("network") or {"mode": "none"}
    sandbox = Sandbox(plan, own_user_namespace=request["facts"]["own_user_namespace"])
    runtime: ContainerRuntime
    runtime = ForeignRuntime(request, spec) if request.get("runtime") else OwnRuntime(request, spec)

    over = False
    proxies: list[TcpProxy | UdpProxy] = []

    def on_over() -> None:
        nonlocal over
        if not over:
            over = True
            # The socket's name goes first: a new monitor of this container may bind it as soon as we hang up.
            unwatched = not control.watched
            for proxy in proxies:
                proxy.close()  # a container that wants the same port may start as soon as we hang up
            _remove_tree(run_dir)
            control.close()
            if unwatched:
                _wake_engine(api_socket)
            loop.call_later(_FLUSH_SECONDS, loop.stop)
        if not container.flushing:
            loop.stop()

    container = Container(
        loop, request, runtime, sandbox, emit=control.emit, watched=lambda: control.watched, on_over=on_over
    )
    control.container = container
    container.open_log()
    for fd, options in clients:
        container.attach(fd, options)
    try:
        sandbox.prepare()
        if listeners:
            make = socket_in(sandbox.host_fd, sandbox.namespace_fd)
            proxies += serve_proxies(loop, plan.get("proxies", []), listeners, make)
    except WherryError as exc:
        container.fail_create(exc)
    container.create()
    loop.run()


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

"""The monitor process: forked by the zygote for one start of a container, the parent of its init for life.

It needs no engine: it keeps stdio, writes the log, records the exit, restarts, checks health. One thread, one loop.
Its own files: ``<run_dir>/monitor.sock``; it removes ``run_dir`` when the container is over.
"""

import gc
import os
import signal
import socket
import stat
import traceback
from typing import Any

from wherry.errors import WherryError
from wherry.linux.fdsocket import connect_unix
from wherry.linux.process import close_except, set_child_subreaper, set_dumpable, set_name
from wherry.monitor.attach_options import AttachOptions
from wherry.monitor.container import Container
from wherry.monitor.container_runtime import ContainerRuntime
from wherry.monitor.control import Control
from wherry.monitor.diagnostics import report
from wherry.monitor.diagnostics import set_name as set_report_name
from wherry.monitor.foreign_runtime import ForeignRuntime
from wherry.monitor.loop import Loop
from wherry.monitor.own_runtime import OwnRuntime
from wherry.monitor.proxy import serve_proxies, socket_in
from wherry.monitor.sandbox import Sandbox
from wherry.runtime.failure import RuntimeFailure

# Containers have 0 or more (R36). Going below the present value needs CAP_SYS_RESOURCE.
OOM_SCORE_ADJUST = -999
# How long clients may take to read the rest after the container is over.
_FLUSH_SECONDS = 600.0


def run_monitor(
    request: dict[str, Any],
    engine: socket.socket,
    listeners: list[int],
    clients: list[tuple[int, AttachOptions]],
    *,
    api_socket: str,
) -> None:
    """Be the monitor; never returns. ``engine`` is the first control connection; all descriptors are ours now."""
    status = 1
    try:
        _become_monitor([engine.fileno(), *listeners, *(fd for fd, _ in clients)])
        set_report_name(f"monitor {request['id'][:12]}")
        _serve(request, engine, listeners, clients, api_socket)
        status = 0
    except BaseException:
        report(traceback.format_exc())
    finally:
        os._exit(status)


def _become_monitor(keep: list[int]) -> None:
    gc.enable()
    os.setsid()
    close_except(keep)
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        # A handler and not SIG_IGN: ignored signals would stay ignored in the container.
        signal.signal(number, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    set_child_subreaper(on=True)
    set_name("wherry-monitor")
    set_dumpable(on=False)
    try:
        with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
            file.write(str(OOM_SCORE_ADJUST))
    except PermissionError:
        pass  # no CAP_SYS_RESOURCE: the value of the zygote stays


def _serve(
    request: dict[str, Any],
    engine: socket.socket,
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

    namespaces = (request["spec"].get("linux") or {}).get("namespaces") or []
    sandbox = Sandbox(
        request.get("network") or {"mode": "none"},
        own_user_namespace=any(n["type"] == "user" and not n.get("path") for n in namespaces),
    )
    runtime: ContainerRuntime = ForeignRuntime(request) if request.get("runtime") else OwnRuntime(request)

    over = False

    def on_over() -> None:
        nonlocal over
        if not over:
            over = True
            # The socket's name goes first: a new monitor of this container may bind it as soon as we hang up.
            unwatched = not control.watched
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
            serve_proxies(loop, (request.get("network") or {}).get("proxies", []), listeners, make)
    except OSError as exc:
        container.fail_create(RuntimeFailure(f"set up network: {exc.strerror or exc}"))
    except WherryError as exc:
        container.fail_create(exc)
    container.create()
    gc.collect()
    gc.freeze()
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

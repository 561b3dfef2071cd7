"""The engine's process from its first line to its last: take over descriptors, recover, serve, go idle.

Contract with the zygote (monitor/engine_process.py): descriptor 3 is the listening API socket, WHERRY_ZYGOTE_FD the
connection; exit code 0 means idle or told to, anything else a failure.
"""

import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from typing import Protocol

from wherry.engine.engine import Engine, lock_data_root
from wherry.engine.listeners import check_hosts, open_listeners
from wherry.engine.recovery import recover
from wherry.engine.sweep import remove_cgroup_root
from wherry.errors import WherryError
from wherry.log import configure, get_logger
from wherry.monitor.client import Dispatcher, Zygote
from wherry.settings import load

_logger = get_logger(__name__)

_API_FD = 3
_DRAIN_SECONDS = 3.0


class Server(Protocol):
    """The API's server, which lives a layer above."""

    def serve(self, listener: socket.socket) -> None:
        """Accept connections until ``close``."""

    def close(self) -> None:
        """Accept no more."""

    def close_if_idle(self, seconds: float) -> bool:
        """Close unless there was a request within the last ``seconds``."""

    def drain(self, seconds: float) -> bool:
        """Wait for the connections to end."""


def run(make_server: Callable[[Engine], Server]) -> int:
    """Be the engine; the exit code."""
    try:
        settings = load()
        configure(debug=settings.debug)
        check_hosts(settings)
        lock_fd = lock_data_root(settings)
        dispatcher = Dispatcher()
        # Without a zygote no container can start: the engine ends, and is started again by whoever starts a zygote.
        zygote = Zygote.inherited(dispatcher, on_lost=lambda: os._exit(1))
        zygote.replace_if_stale()
        engine = Engine(settings, zygote=zygote, dispatcher=dispatcher, lock_fd=lock_fd)
        recover(engine)
        server = make_server(engine)
        listeners = open_listeners(settings)
    except WherryError as exc:
        sys.stderr.write(f"wherry engine: {exc.message}\n" + (f"{exc.hint}\n" if exc.hint else ""))
        return 1
    _serve(engine, server, zygote, listeners)
    return 0


def _serve(engine: Engine, server: Server, zygote: Zygote, listeners: list[socket.socket]) -> None:
    listener = socket.socket(fileno=_API_FD)
    for more in listeners:
        threading.Thread(target=server.serve, args=(more,), name=f"accept {more.getsockname()}", daemon=True).start()
    if listeners or os.environ.get("WHERRY_FOREGROUND") == "1":
        engine.idle.timeout_seconds = 0.0

    def terminate(_number: int, _frame: object) -> None:
        engine.idle.stop()
        # Not in the handler itself: it may have interrupted the holder of a lock that close() needs.
        threading.Thread(target=server.close, daemon=True).start()

    signal.signal(signal.SIGTERM, terminate)
    signal.signal(signal.SIGINT, terminate)
    threading.Thread(target=lambda: engine.idle.watch(lambda: _end(engine, server)), daemon=True).start()
    # What was imported and built so far lives as long as the process: no collection need look at it.
    gc.collect()
    gc.freeze()
    zygote.ready()
    server.serve(listener)
    server.drain(_DRAIN_SECONDS)
    zygote.close()
    engine.close()
    remove_cgroup_root(engine)


def _end(engine: Engine, server: Server) -> bool:
    if engine.workers.busy or not server.close_if_idle(engine.idle.timeout_seconds):
        return False
    _logger.info("idle: ending")
    return True

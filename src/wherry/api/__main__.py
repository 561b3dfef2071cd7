"""``python -m wherry.api``: the engine's process. The zygote starts it; nobody else needs to."""

import socket
import sys

from wherry.api.http_server import ApiServer
from wherry.api.server import routes
from wherry.engine.daemon import run
from wherry.engine.engine import Engine
from wherry.engine.listeners import has_tcp


def _server(engine: Engine) -> ApiServer:
    settings = engine.settings
    tls = None
    if has_tcp(settings):
        # Start-up cost: ssl takes 20 ms to import.
        from wherry.api.tls import TlsTerminator, server_context

        tls = TlsTerminator(server_context(settings))
    return ApiServer(
        routes(engine),
        tls=tls,
        allowed_hosts=(socket.gethostname(), *settings.allowed_hosts),
        on_thread_end=engine.database.release_thread,
    )


if __name__ == "__main__":
    sys.exit(run(_server))

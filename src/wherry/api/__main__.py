"""``python -m wherry.api``: the engine's process. The zygote starts it; nobody else needs to."""

import sys

from wherry.api.http_server import ApiServer
from wherry.api.server import routes
from wherry.engine.daemon import run
from wherry.engine.engine import Engine


def _server(engine: Engine) -> ApiServer:
    return ApiServer(routes(engine), on_thread_end=engine.database.release_thread)


if __name__ == "__main__":
    sys.exit(run(_server))

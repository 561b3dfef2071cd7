"""Swarm mode, which this engine does not have: the answers of a Docker engine that is in no swarm.

Clients (``docker info``, ``docker service ls``, Compose) rely on these answers rather than on 404.
"""

from wherry.api.request import Request
from wherry.api.response import Response
from wherry.api.router import Route
from wherry.errors import Unavailable, Unimplemented

_GROUPS = ("swarm", "nodes", "services", "tasks", "secrets", "configs")


def _no_manager(_: None, request: Request) -> Response:
    raise Unavailable(
        'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
        "to swarm and try again."
    )


def _no_swarm(_: None, request: Request) -> Response:
    raise Unavailable("This node is not part of a swarm")


def _unsupported(_: None, request: Request) -> Response:
    raise Unimplemented("swarm mode is not supported by this engine")


ROUTES: tuple[Route[None], ...] = (
    Route("POST", "/swarm/init", _unsupported),
    Route("POST", "/swarm/join", _unsupported),
    Route("POST", "/swarm/leave", _no_swarm),
    *(
        Route(method, pattern, _no_manager)
        for group in _GROUPS
        for pattern in (f"/{group}", f"/{group}/{{rest:path}}")
        for method in ("GET", "POST", "DELETE")
    ),
)

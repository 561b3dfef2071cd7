"""/build: building is not there yet; the cache is empty, which ``docker system prune`` asks for."""

from wherry.api.request import Request
from wherry.api.response import Response, json_response
from wherry.api.router import Route
from wherry.errors import Unimplemented


def _build(_: None, request: Request) -> Response:
    raise Unimplemented("image build is not supported by this engine")


def _cancel(_: None, request: Request) -> Response:
    return Response(204)


def _prune(_: None, request: Request) -> Response:
    return json_response({"CachesDeleted": None, "SpaceReclaimed": 0})


def _session(_: None, request: Request) -> Response:
    raise Unimplemented("BuildKit sessions are not supported by this engine")


ROUTES: tuple[Route[None], ...] = (
    Route("POST", "/build", _build),
    Route("POST", "/build/cancel", _cancel),
    Route("POST", "/build/prune", _prune),
    Route("POST", "/session", _session),
    Route("POST", "/grpc", _session),
)

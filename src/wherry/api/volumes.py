"""/volumes."""

import msgspec

from wherry.api.filters import parse_filters
from wherry.api.request import Request
from wherry.api.response import NO_CONTENT, Response, json_response
from wherry.api.router import Route
from wherry.containers.config import Wire
from wherry.containers.wire import decode
from wherry.errors import InvalidParameter
from wherry.volumes import listing
from wherry.volumes.store import Volumes

_PRUNE_FILTERS = frozenset(("all", "label", "label!"))


class VolumeCreateRequest(Wire):
    """Body of POST /volumes/create."""

    name: str = ""
    driver: str = ""
    driver_opts: dict[str, str] | None = None
    labels: dict[str, str] | None = None
    cluster_volume_spec: msgspec.Raw | None = None


def _list(volumes: Volumes, request: Request) -> Response:
    return json_response(listing.list_volumes(volumes, parse_filters(request.query.text("filters"))))


def _create(volumes: Volumes, request: Request) -> Response:
    body = request.json_body()
    if not body:
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    wanted = decode(body, VolumeCreateRequest)
    volume = volumes.create(wanted.name, wanted.driver, wanted.labels, wanted.driver_opts)
    return json_response(listing.describe(volume), status=201)


def _inspect(volumes: Volumes, request: Request) -> Response:
    return json_response(listing.inspect(volumes, request.params["name"]))


def _remove(volumes: Volumes, request: Request) -> Response:
    volumes.remove(request.params["name"], force=request.query.flag("force"))
    return NO_CONTENT


def _prune(volumes: Volumes, request: Request) -> Response:
    filters = parse_filters(request.query.text("filters"), _PRUNE_FILTERS)
    if request.version < (1, 42):
        filters.setdefault("all", ["true"])  # before 1.42 named volumes went too
    return json_response(volumes.prune(filters))


ROUTES: tuple[Route[Volumes], ...] = (
    Route("GET", "/volumes", _list),
    Route("POST", "/volumes/create", _create),
    Route("POST", "/volumes/prune", _prune),
    Route("GET", "/volumes/{name}", _inspect),
    Route("DELETE", "/volumes/{name}", _remove),
)

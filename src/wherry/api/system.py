"""/_ping, /version, /info, /system/df."""

from wherry.api.request import Request
from wherry.api.response import Headers, Response, json_response, text_response
from wherry.api.router import Route
from wherry.api.system_versions import info_for, usage_for
from wherry.engine.disk_usage import disk_usage
from wherry.engine.engine import Engine
from wherry.engine.info import info, version
from wherry.errors import InvalidParameter

# Builder-Version 1: `docker build` then uses the classic endpoint and not BuildKit's.
_PING_HEADERS: Headers = (
    ("Builder-Version", "1"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)

_USAGE_TYPES = ("container", "image", "volume", "build-cache")


def _ping(_: Engine, request: Request) -> Response:
    return text_response("" if request.method == "HEAD" else "OK", headers=_PING_HEADERS)


def _version(engine: Engine, request: Request) -> Response:
    return json_response(version(engine))


def _info(engine: Engine, request: Request) -> Response:
    return json_response(info_for(request.version, info(engine)))


def _disk_usage(engine: Engine, request: Request) -> Response:
    types = request.query.texts("type") if request.version >= (1, 42) else []
    for name in types:
        if name not in _USAGE_TYPES:
            raise InvalidParameter(f"unknown object type: {name}")
    return json_response(usage_for(request.version, disk_usage(engine, types)))


ROUTES: tuple[Route[Engine], ...] = (
    Route("GET", "/_ping", _ping),
    Route("HEAD", "/_ping", _ping),
    Route("GET", "/version", _version),
    Route("GET", "/info", _info),
    Route("GET", "/system/df", _disk_usage),
)

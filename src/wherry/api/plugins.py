"""/plugins: this engine has none and installs none."""

from wherry.api.request import Request
from wherry.api.response import Response, json_response
from wherry.api.router import Route
from wherry.errors import NotFound, Unimplemented


def _list(_: None, request: Request) -> Response:
    return json_response([])


def _unsupported(_: None, request: Request) -> Response:
    raise Unimplemented("managed plugins are not supported by this engine")


def _not_found(_: None, request: Request) -> Response:
    raise NotFound(f'plugin "{request.params["name"]}" not found')


ROUTES: tuple[Route[None], ...] = (
    Route("GET", "/plugins", _list),
    Route("GET", "/plugins/privileges", _unsupported),
    Route("POST", "/plugins/pull", _unsupported),
    Route("POST", "/plugins/create", _unsupported),
    Route("GET", "/plugins/{name:path}/json", _not_found),
    *(
        Route("POST", f"/plugins/{{name:path}}/{verb}", _not_found)
        for verb in ("enable", "disable", "push", "upgrade", "set")
    ),
    Route("DELETE", "/plugins/{name:path}", _not_found),
)

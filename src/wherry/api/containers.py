"""/containers: the verbs that answer at once. Streams are in ``container_streams``, files in ``archive``."""

import msgspec

from wherry.api.filters import parse_filters
from wherry.api.request import Request
from wherry.api.response import NO_CONTENT, Response, json_response
from wherry.api.router import Route
from wherry.containers import changes, create, inspect, kill, pause, prune, remove, rename, resize, restart, start
from wherry.containers import commit as commit_verb
from wherry.containers import list as container_list
from wherry.containers import stop as stop_verb
from wherry.containers import top as top_verb
from wherry.containers import update as update_verb
from wherry.containers.config import ContainerConfig, UpdateRequest, decode_create_request
from wherry.containers.services import Services
from wherry.containers.wire import decode
from wherry.errors import InvalidParameter, Unimplemented

_LIST_FILTERS = frozenset(
    (
        *("ancestor", "before", "exited", "expose", "health", "id", "is-task", "isolation", "label", "name"),
        *("network", "publish", "since", "status", "volume"),
    )
)
_PRUNE_FILTERS = frozenset(("label", "label!", "until"))


def _list(services: Services, request: Request) -> Response:
    query = request.query
    return json_response(
        container_list.list_containers(
            services,
            all=query.flag("all"),
            limit=query.number("limit") or 0,
            size=query.flag("size"),
            filters=parse_filters(query.text("filters"), _LIST_FILTERS),
        )
    )


def _create(services: Services, request: Request) -> Response:
    body = request.json_body()
    if not body:
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    wanted = decode_create_request(body)
    created = create.create(
        services,
        name=request.query.text("name"),
        config=wanted,
        host_config=wanted.host_config,
        networking_config=wanted.networking_config,
        platform=request.query.text("platform") or None,
    )
    return json_response({"Id": created.id, "Warnings": list(created.warnings)}, status=201)


def _inspect(services: Services, request: Request) -> Response:
    return json_response(inspect.inspect(services, request.params["id"], size=request.query.flag("size")))


def _start(services: Services, request: Request) -> Response:
    if request.query.text("checkpoint"):
        raise Unimplemented("checkpoints are not supported by this engine")
    start.start(services, request.params["id"])
    return NO_CONTENT


def _stop(services: Services, request: Request) -> Response:
    query = request.query
    stop_verb.stop(
        services, request.params["id"], timeout_seconds=query.number("t"), signal=query.text("signal")
    )  # fmt: skip
    return NO_CONTENT


def _restart(services: Services, request: Request) -> Response:
    query = request.query
    restart.restart(services, request.params["id"], timeout_seconds=query.number("t"), signal=query.text("signal"))
    return NO_CONTENT


def _kill(services: Services, request: Request) -> Response:
    kill.kill(services, request.params["id"], signal=request.query.text("signal") or "SIGKILL")
    return NO_CONTENT


def _pause(services: Services, request: Request) -> Response:
    pause.pause(services, request.params["id"])
    return NO_CONTENT


def _unpause(services: Services, request: Request) -> Response:
    pause.unpause(services, request.params["id"])
    return NO_CONTENT


def _rename(services: Services, request: Request) -> Response:
    rename.rename(services, request.params["id"], request.query.text("name"))
    return NO_CONTENT


def _update(services: Services, request: Request) -> Response:
    body = request.json_body()
    if not body:
        raise InvalidParameter("invalid JSON: got EOF while reading request body")
    warnings = update_verb.update(services, request.params["id"], decode(body, UpdateRequest))
    return json_response({"Warnings": warnings})


def _resize(services: Services, request: Request) -> Response:
    height, width = size_of(request)
    resize.resize(services, request.params["id"], height=height, width=width)
    return Response()


def size_of(request: Request) -> tuple[int, int]:
    """Rows and columns of a resize request."""
    sizes = []
    for name in ("h", "w"):
        value = request.query.text(name)
        if not value.isascii() or not value.isdigit() or int(value) > 0xFFFF:
            raise InvalidParameter(f'strconv.Atoi: parsing "{value}": invalid syntax')
        sizes.append(int(value))
    return sizes[0], sizes[1]


def _remove(services: Services, request: Request) -> Response:
    query = request.query
    remove.remove(
        services, request.params["id"], force=query.flag("force"), volumes=query.flag("v"), link=query.flag("link")
    )
    return NO_CONTENT


def _top(services: Services, request: Request) -> Response:
    return json_response(top_verb.top(services, request.params["id"], request.query.text("ps_args")))


def _changes(services: Services, request: Request) -> Response:
    return json_response(changes.changes(services, request.params["id"]) or None)


def _prune(services: Services, request: Request) -> Response:
    return json_response(prune.prune(services, parse_filters(request.query.text("filters"), _PRUNE_FILTERS)))


def _commit(services: Services, request: Request) -> Response:
    body = request.json_body()
    query = request.query
    image_id = commit_verb.commit(
        services,
        query.text("container"),
        repository=query.text("repo"),
        tag=query.text("tag"),
        author=query.text("author"),
        comment=query.text("comment"),
        pause=query.flag("pause", default=True),
        changes=query.texts("changes"),
        config=decode(body, ContainerConfig) if body and msgspec.json.decode(body) else None,
    )
    return json_response({"Id": image_id}, status=201)


ROUTES: tuple[Route[Services], ...] = (
    Route("GET", "/containers/json", _list),
    Route("POST", "/containers/create", _create),
    Route("POST", "/containers/prune", _prune),
    Route("GET", "/containers/{id:path}/json", _inspect),
    Route("GET", "/containers/{id:path}/top", _top),
    Route("GET", "/containers/{id:path}/changes", _changes),
    Route("POST", "/containers/{id:path}/start", _start),
    Route("POST", "/containers/{id:path}/stop", _stop),
    Route("POST", "/containers/{id:path}/restart", _restart),
    Route("POST", "/containers/{id:path}/kill", _kill),
    Route("POST", "/containers/{id:path}/pause", _pause),
    Route("POST", "/containers/{id:path}/unpause", _unpause),
    Route("POST", "/containers/{id:path}/rename", _rename),
    Route("POST", "/containers/{id:path}/update", _update),
    Route("POST", "/containers/{id:path}/resize", _resize),
    Route("DELETE", "/containers/{id:path}", _remove),
    Route("POST", "/commit", _commit),
)

"""/containers/{id}/exec and /exec: further processes in a running container."""

import msgspec

from wherry.api.container_streams import stream_type
from wherry.api.containers import size_of
from wherry.api.errors import message_of
from wherry.api.request import Request
from wherry.api.response import Response, json_response
from wherry.api.router import Route
from wherry.containers import exec as exec_verb
from wherry.containers.config import ExecConfig, Wire, argv
from wherry.containers.hijack import HijackedClient, frame
from wherry.containers.services import Services
from wherry.containers.wire import decode
from wherry.errors import InvalidParameter, WherryError
from wherry.log import get_logger

logger = get_logger(__name__)

_STDOUT = 1


class ExecStartRequest(Wire):
    """Body of POST /exec/{id}/start."""

    detach: bool = False
    tty: bool = False
    console_size: tuple[int, int] | None = None


def _create(services: Services, request: Request) -> Response:
    body = request.json_body()
    config = decode(body, ExecConfig) if body else ExecConfig()
    if not argv(config.cmd):
        raise InvalidParameter("No exec command specified")
    if request.version < (1, 42):
        config = msgspec.structs.replace(config, console_size=None)
    return json_response({"Id": exec_verb.create_exec(services, request.params["id"], config)}, status=201)


def _start(services: Services, request: Request) -> Response | None:
    body = request.json_body()
    wanted = decode(body, ExecStartRequest) if body else ExecStartRequest()
    console_size = wanted.console_size if request.version >= (1, 42) else None
    begun = exec_verb.begin(services, request.params["id"], detach=wanted.detach, console_size=console_size)
    if wanted.detach:
        begun.run(None)
        return Response()
    # As in moby: the start says whether the output is framed, whatever the creation said of a terminal.
    sock, leftover = request.hijack(stream_type(request.version, tty=wanted.tty))
    try:
        begun.run(HijackedClient(sock, leftover, framed=not wanted.tty))
    except WherryError as error:
        # The head is out, so the client reads the reason from the stream: standard output, as with dockerd.
        text = message_of(error).encode() + b"\r\n"
        sock.sendall(text if wanted.tty else frame(_STDOUT, text))
    return None


def _inspect(services: Services, request: Request) -> Response:
    return json_response(exec_verb.inspect_exec(services, request.params["id"]))


def _resize(services: Services, request: Request) -> Response:
    height, width = size_of(request)
    exec_verb.resize_exec(services, request.params["id"], height=height, width=width)
    return Response()


ROUTES: tuple[Route[Services], ...] = (
    Route("POST", "/containers/{id:path}/exec", _create),
    Route("POST", "/exec/{id}/start", _start),
    Route("POST", "/exec/{id}/resize", _resize),
    Route("GET", "/exec/{id}/json", _inspect),
)

"""/containers: attach, logs, stats and wait, the answers that outlast their first byte."""

import socket

from wherry.api.request import ApiVersion, Request
from wherry.api.response import MULTIPLEXED_STREAM, RAW_STREAM, Response, json_response
from wherry.api.router import Route
from wherry.api.streams import JsonStream
from wherry.api.websocket import accept_key, bridge
from wherry.containers import attach, logs, stats, wait
from wherry.containers.attach import AttachOptions
from wherry.containers.hijack import HijackedClient
from wherry.containers.logs import LogOptions
from wherry.containers.services import Services
from wherry.errors import InvalidParameter


def stream_type(version: ApiVersion, *, tty: bool) -> str:
    """The content type of a container's output; older clients know only one."""
    return RAW_STREAM if tty or version < (1, 42) else MULTIPLEXED_STREAM


def attach_options(request: Request) -> AttachOptions:
    """The query parameters of attach."""
    query = request.query
    return AttachOptions(
        stream=query.flag("stream"),
        stdin=query.flag("stdin"),
        stdout=query.flag("stdout"),
        stderr=query.flag("stderr"),
        logs=query.flag("logs"),
        detach_keys=query.text("detachKeys"),
    )


def _attach(services: Services, request: Request) -> None:
    with attach.begin(services, request.params["id"], attach_options(request)) as attachment:
        sock, leftover = request.hijack(stream_type(request.version, tty=attachment.tty))
        attachment.run(HijackedClient(sock, leftover, framed=not attachment.tty))


def _attach_websocket(services: Services, request: Request) -> None:
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise InvalidParameter("bad websocket handshake: no Upgrade to websocket")
    accept = accept_key(request.headers.get("sec-websocket-key", ""))
    options = attach_options(request)
    attachment = attach.begin(services, request.params["id"], options)
    ours, theirs = socket.socketpair()
    with ours:
        with theirs, attachment:
            client, leftover = request.hijack_websocket(accept)
            attachment.run(HijackedClient(theirs, b"", framed=False))
        bridge(client, leftover, ours)


def _logs(services: Services, request: Request) -> None:
    query = request.query
    stdout, stderr = query.flag("stdout"), query.flag("stderr")
    if not (stdout or stderr):
        raise InvalidParameter("Bad parameters: you must choose at least one stream")
    options = LogOptions(
        stdout=stdout,
        stderr=stderr,
        follow=query.flag("follow"),
        tail=query.text("tail"),
        since=query.text("since"),
        until=query.text("until"),
        timestamps=query.flag("timestamps"),
        details=query.flag("details"),
    )
    lines = logs.open_logs(services, request.params["id"], options)
    stream = request.stream(stream_type(request.version, tty=lines.tty))
    stream.start()
    lines.pump(stream.send, request.disconnected.is_set)
    stream.end()


def _stats(services: Services, request: Request) -> Response | None:
    one_shot = request.query.flag("one-shot")
    if not request.query.flag("stream", default=True):
        return json_response(stats.sample(services, request.params["id"], one_shot=one_shot))
    if one_shot:
        raise InvalidParameter("cannot have stream=true and one-shot=true")
    with JsonStream(request) as stream:
        stats.stream(services, request.params["id"], stream.write, request.disconnected.is_set)
    return None


def _wait(services: Services, request: Request) -> None:
    condition = request.query.text("condition") if request.version >= (1, 30) else ""
    waiter = wait.begin(services, request.params["id"], condition)
    with JsonStream(request) as stream:
        # The head says that the wait has begun: `docker run` starts the container only then.
        stream.start()
        result = waiter.result(request.disconnected.is_set)
        if result is not None:
            error = {"Error": {"Message": result.error}} if result.error else {}
            stream.write({"StatusCode": result.status_code, **error})


ROUTES: tuple[Route[Services], ...] = (
    Route("POST", "/containers/{id:path}/attach", _attach),
    Route("GET", "/containers/{id:path}/attach/ws", _attach_websocket),
    Route("GET", "/containers/{id:path}/logs", _logs),
    Route("GET", "/containers/{id:path}/stats", _stats),
    Route("POST", "/containers/{id:path}/wait", _wait),
)

"""/containers/{id}/archive and /export: files of a container as tar streams."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import msgspec

from wherry.api.request import Request, ResponseStream
from wherry.api.response import TAR, Headers, Response
from wherry.api.router import Route
from wherry.containers import archive, export
from wherry.containers.services import Services
from wherry.errors import InvalidParameter

_BUFFER = 256 << 10


def _path(request: Request) -> str:
    path = request.query.text("path")
    if not path:
        raise InvalidParameter("bad parameter: path cannot be empty")
    return path


def _stat_header(stat: Mapping[str, Any]) -> Headers:
    encoded = base64.b64encode(msgspec.json.encode(stat)).decode("ascii")
    return (("X-Docker-Container-Path-Stat", encoded),)


def buffered(stream: ResponseStream) -> io.BufferedWriter:
    """A tar writer's small pieces gathered into large chunks. Flush it before the stream is ended."""
    return io.BufferedWriter(stream, buffer_size=_BUFFER)


def _head(services: Services, request: Request) -> Response:
    return Response(headers=_stat_header(archive.stat(services, request.params["id"], _path(request))))


def _get(services: Services, request: Request) -> None:
    found = archive.open_archive(services, request.params["id"], _path(request))
    stream = request.stream(TAR, headers=_stat_header(found.stat))
    out = buffered(stream)
    found.write_to(out.write)
    out.flush()
    stream.end()


def _put(services: Services, request: Request) -> Response:
    query = request.query
    archive.put(
        services,
        request.params["id"],
        _path(request),
        request.body(),
        no_overwrite_dir_non_dir=query.flag("noOverwriteDirNonDir"),
        copy_uid_gid=query.flag("copyUIDGID"),
    )
    return Response()


def _export(services: Services, request: Request) -> None:
    exported = export.open_export(services, request.params["id"])
    stream = request.stream("application/octet-stream")
    out = buffered(stream)
    exported.write_to(out.write)
    out.flush()
    stream.end()


ROUTES: tuple[Route[Services], ...] = (
    Route("HEAD", "/containers/{id:path}/archive", _head),
    Route("GET", "/containers/{id:path}/archive", _get),
    Route("PUT", "/containers/{id:path}/archive", _put),
    Route("GET", "/containers/{id:path}/export", _export),
)

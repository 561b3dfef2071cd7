"""/images: list, inspect, pull, import, load, save, tag, remove, prune."""

import msgspec

from wherry.api.archive import buffered
from wherry.api.filters import parse_filters
from wherry.api.image_documents import inspection, summary
from wherry.api.request import Request
from wherry.api.response import TAR, Response, json_response
from wherry.api.router import Route
from wherry.api.streams import progress_stream
from wherry.errors import InvalidParameter
from wherry.images.service import Images
from wherry.images.transfer import Transfer
from wherry.oci import reference as references
from wherry.oci.digest import is_digest
from wherry.oci.platform import Platform, normalise
from wherry.oci.platform import parse as parse_platform
from wherry.registry.credentials import parse_header

_LIST_FILTERS = frozenset(("before", "dangling", "label", "label!", "reference", "since", "until"))
_PRUNE_FILTERS = frozenset(("dangling", "label", "label!", "until"))


def _platform(request: Request) -> Platform | None:
    """``linux/arm64``, or an OCI platform object (load, save, inspect and history since 1.48)."""
    text = request.query.text("platform")
    if not text:
        return None
    if not text.startswith("{"):
        return parse_platform(text)
    try:
        return normalise(msgspec.json.decode(text, type=Platform))
    except msgspec.DecodeError as exc:
        raise InvalidParameter(f"failed to parse platform: {exc}") from exc


def _list(images: Images, request: Request) -> Response:
    query = request.query
    found = images.summaries(
        parse_filters(query.text("filters"), _LIST_FILTERS),
        all=query.flag("all"),
        shared_size=query.flag("shared-size"),
        count_containers=request.version >= (1, 51),
        described=request.version >= (1, 48),
        manifests=query.flag("manifests"),
    )
    return json_response([summary(document, request.version) for document in found])


def _create(images: Images, request: Request) -> None:
    if request.query.text("fromImage"):
        _pull(images, request)
    else:
        _import(images, request)


def _pull(images: Images, request: Request) -> None:
    query = request.query
    reference, tag = query.text("fromImage"), query.text("tag")
    if tag:
        if not (references.is_tag(tag) or is_digest(tag)):
            raise InvalidParameter("invalid tag format")
        reference += ("@" if ":" in tag else ":") + tag
    platform = _platform(request)
    auth = parse_header(request.headers.get("x-registry-auth", ""))
    parsed = references.parse(reference)
    pull = images.pull if parsed.tag or parsed.digest else images.pull_all
    with progress_stream(request) as stream:
        pull(reference, Transfer(stream.write, platform, auth, request.disconnected))


def _import(images: Images, request: Request) -> None:
    query = request.query
    source = query.text("fromSrc")
    if source != "-":
        raise InvalidParameter(
            f"import {source or 'without a source'}: this engine imports only what the client sends (fromSrc=-)",
            hint="Download the archive and pass it on standard input.",
        )
    repository, tag = query.text("repo"), query.text("tag")
    with progress_stream(request) as stream:
        images.import_(
            request.body(),
            reference=f"{repository}:{tag}" if repository and tag else repository,
            changes=query.texts("changes"),
            message=query.text("message"),
            platform=_platform(request),
            progress=stream.write,
        )


def _load(images: Images, request: Request) -> None:
    with progress_stream(request) as stream:
        stream.start()  # as with dockerd an archive's fault is told in the answer, not by its status
        images.load(
            request.body(),
            progress=stream.write,
            platform=_platform(request),
            quiet=request.query.flag("quiet", default=True),
        )


def _save(images: Images, request: Request) -> None:
    _send_archive(images, request, request.query.texts("names"))


def _save_one(images: Images, request: Request) -> None:
    _send_archive(images, request, [request.params["name"]])


def _send_archive(images: Images, request: Request, names: list[str]) -> None:
    if not names:
        raise InvalidParameter("no image names given")
    stream = request.stream(TAR)
    out = buffered(stream)
    images.save(names, out, _platform(request))
    out.flush()
    stream.end()


def _inspect(images: Images, request: Request) -> Response:
    manifests = request.query.flag("manifests")
    document = images.inspect(request.params["name"], _platform(request), manifests=manifests)
    return json_response(inspection(document, request.version))


def _history(images: Images, request: Request) -> Response:
    return json_response(images.history(request.params["name"], _platform(request)))


def _tag(images: Images, request: Request) -> Response:
    images.tag(request.params["name"], request.query.text("repo"), request.query.text("tag"))
    return Response(201)


def _remove(images: Images, request: Request) -> Response:
    query = request.query
    removed = images.remove(
        request.params["name"], force=query.flag("force"), prune_children=not query.flag("noprune")
    )  # fmt: skip
    return json_response(removed)


def _prune(images: Images, request: Request) -> Response:
    return json_response(images.prune(parse_filters(request.query.text("filters"), _PRUNE_FILTERS)))


def _search(images: Images, request: Request) -> Response:
    query = request.query
    limit = query.number("limit")
    filters = parse_filters(query.text("filters"))
    auth = parse_header(request.headers.get("x-registry-auth", ""))
    return json_response(images.search(query.text("term"), limit=limit, filters=filters, auth=auth))


def _push(images: Images, request: Request) -> None:
    reference, tag = request.params["name"], request.query.text("tag")
    if tag:
        reference = f"{reference}:{tag}"
    platform = _platform(request)
    auth = parse_header(request.headers.get("x-registry-auth", ""))
    with progress_stream(request) as stream:
        images.push(reference, Transfer(stream.write, platform, auth, request.disconnected))


ROUTES: tuple[Route[Images], ...] = (
    Route("GET", "/images/json", _list),
    Route("GET", "/images/search", _search),
    Route("GET", "/images/get", _save),
    Route("POST", "/images/create", _create),
    Route("POST", "/images/load", _load),
    Route("POST", "/images/prune", _prune),
    Route("GET", "/images/{name:path}/get", _save_one),
    Route("GET", "/images/{name:path}/json", _inspect),
    Route("GET", "/images/{name:path}/history", _history),
    Route("POST", "/images/{name:path}/tag", _tag),
    Route("POST", "/images/{name:path}/push", _push),
    Route("DELETE", "/images/{name:path}", _remove),
)

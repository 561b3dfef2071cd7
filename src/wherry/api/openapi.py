"""``/openapi.json``: our own description of the API (OpenAPI 3.1), made from the router and from msgspec's structs.

Every route is in it, for it is made from the table that requests are served by; what a request's body may hold is the
struct that it is decoded into. Answers are Docker's documents and not typed here.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from wherry import __version__
from wherry.api.openapi_endpoints import ENDPOINTS, Endpoint
from wherry.api.request import Request
from wherry.api.response import API_VERSION, JSON, Response, json_response
from wherry.api.router import Route, Router

_REFERENCE = "#/components/schemas/{name}"
_PARAMETER = re.compile(r"\{(\w+)(?::path)?\}")
_TYPES: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "integer": {"type": "integer"},
    # Docker's own clients send 1 and 0, and every other word is true.
    "boolean": {"type": "string", "enum": ["0", "1", "false", "true"]},
    "filters": {"type": "string", "contentMediaType": JSON},
    "strings": {"type": "array", "items": {"type": "string"}},
}


def describe(routes: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """The whole description; ``routes`` are (method, pattern) as the router has them."""
    bodies = sorted(
        {entry.body for entry in ENDPOINTS.values() if isinstance(entry.body, type)}, key=lambda body: body.__name__
    )
    _, schemas = msgspec.json.schema_components(bodies, ref_template=_REFERENCE)
    paths: dict[str, dict[str, Any]] = {}
    for method, pattern in routes:
        path = _PARAMETER.sub(r"{\1}", pattern)
        entry = ENDPOINTS.get(f"{method} {path}") or Endpoint(f"{method} {path}")
        operations = paths.setdefault(path, {})
        if method.lower() not in operations:  # the first that matches serves it
            operations[method.lower()] = _operation(method, path, _PARAMETER.findall(pattern), entry)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "wherry: the Docker Engine API",
            "version": f"{API_VERSION[0]}.{API_VERSION[1]}",
            "summary": f"What wherry {__version__} serves.",
            "description": "Paths may begin with a version, /v1.24 to the newest, whose fields and rules then hold.",
        },
        "servers": [{"url": "/"}, {"url": f"/v{API_VERSION[0]}.{API_VERSION[1]}"}],
        "paths": paths,
        "components": {"schemas": {**schemas, "ErrorResponse": _ERROR}},
    }


_ERROR = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}


def _operation(method: str, path: str, names: Sequence[str], entry: Endpoint) -> dict[str, Any]:
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names]
    for text in entry.query.split():
        name, _, kind = text.partition(":")
        parameters.append({"name": name, "in": "query", "required": False, "schema": _TYPES[kind]})
    error: dict[str, Any] = {"description": "Why not, in Docker's words; 501 and 503 say that wherry does not do it"}
    if method != "HEAD":
        error["content"] = {JSON: {"schema": {"$ref": _REFERENCE.format(name="ErrorResponse")}}}
    success: dict[str, Any] = {"description": "Done"}
    if entry.answer and method != "HEAD":
        success["content"] = {entry.answer: {} if entry.answer == JSON else {"schema": {"type": "string"}}}
    operation: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "summary": entry.summary,
        "parameters": parameters,
        "responses": {str(entry.status): success, "default": error},
    }
    if isinstance(entry.body, type):
        schema = {"$ref": _REFERENCE.format(name=entry.body.__name__)}
        operation["requestBody"] = {"content": {JSON: {"schema": schema}}}
    elif entry.body is not None:
        operation["requestBody"] = {"content": {entry.body: {"schema": {"type": "string", "format": "binary"}}}}
    return operation


def _serve(router: Router, request: Request) -> Response:
    return json_response(describe(router.routes))


ROUTES: tuple[Route[Router], ...] = (Route("GET", "/openapi.json", _serve),)

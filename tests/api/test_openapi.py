"""The description of the API that we publish: whole, valid, and true of the structs that requests are decoded into."""

import json
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from wherry.api import (
    archive,
    build,
    container_streams,
    containers,
    distribution,
    events,
    exec,
    images,
    networks,
    openapi,
    plugins,
    swarm,
    system,
    volumes,
)
from wherry.api.openapi_endpoints import ENDPOINTS

_GROUPS = (
    archive, build, container_streams, containers, distribution, events, exec, images, networks, openapi, plugins,
    swarm, system, volumes,
)  # fmt: skip


@pytest.fixture(scope="module")
def routes() -> list[tuple[str, str]]:
    return [(route.method, route.pattern) for group in _GROUPS for route in group.ROUTES]


@pytest.fixture(scope="module")
def document(routes: list[tuple[str, str]]) -> dict[str, Any]:
    described: dict[str, Any] = json.loads(msgspec.json.encode(openapi.describe(routes)))
    return described


def test_the_description_is_valid(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_is_described_and_nothing_else(document: dict[str, Any], routes: list[tuple[str, str]]) -> None:
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(method, pattern.replace(":path", "")) for method, pattern in routes}
    assert set(ENDPOINTS) <= {f"{method} {path}" for method, path in described}


def test_bodies_are_the_structs_members(document: dict[str, Any]) -> None:
    create = document["paths"]["/containers/create"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert create == {"$ref": "#/components/schemas/CreateRequest"}
    schemas = document["components"]["schemas"]
    assert {"Image", "Cmd", "HostConfig", "NetworkingConfig"} <= set(schemas["CreateRequest"]["properties"])
    assert schemas["HostConfig"]["properties"]["Privileged"]["type"] == "boolean"


def test_operations_have_names_of_their_own(document: dict[str, Any]) -> None:
    names = [entry["operationId"] for methods in document["paths"].values() for entry in methods.values()]
    assert len(names) == len(set(names))

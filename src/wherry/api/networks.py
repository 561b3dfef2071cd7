"""/networks: the predefined three; making networks is not there yet and says so."""

from collections.abc import Mapping, Sequence
from typing import Any

from wherry.api.filters import parse_filters
from wherry.api.request import Request
from wherry.api.response import Response, json_response
from wherry.api.router import Route
from wherry.errors import Forbidden, InvalidParameter, Unimplemented
from wherry.network.controller import NetworkController

_LIST_FILTERS = frozenset(("dangling", "driver", "id", "label", "name", "scope", "type"))
_PRUNE_FILTERS = frozenset(("label", "label!", "until"))
_PREDEFINED = ("bridge", "host", "none")


def _list(networks: NetworkController, request: Request) -> Response:
    filters = parse_filters(request.query.text("filters"), _LIST_FILTERS)
    found = [networks.inspect(record.id) for record in networks.networks()]
    # Docker's list leaves the attached containers out since 1.28; inspect has them.
    return json_response([{**network, "Containers": {}} for network in found if _matches(network, filters)])


def _matches(network: Mapping[str, Any], filters: Mapping[str, Sequence[str]]) -> bool:
    return all(_matches_one(network, name, values) for name, values in filters.items())


def _matches_one(network: Mapping[str, Any], name: str, values: Sequence[str]) -> bool:
    predefined = network["Name"] in _PREDEFINED
    if name == "name":
        return any(value in network["Name"] for value in values)
    if name == "id":
        return any(network["Id"].startswith(value) for value in values)
    if name == "driver":
        return network["Driver"] in values
    if name == "scope":
        return network["Scope"] in values
    if name == "type":
        if unknown := [value for value in values if value not in ("builtin", "custom")]:
            raise InvalidParameter(f"invalid filter: 'type'='{unknown[0]}'")
        return ("builtin" if predefined else "custom") in values
    if name == "dangling":
        wanted = _truth("dangling", values)
        return (not predefined and not network["Containers"]) == wanted
    labels = network["Labels"]
    pairs = (value.partition("=") for value in values)
    return all(key in labels and (not separator or labels[key] == value) for key, separator, value in pairs)


def _truth(name: str, values: Sequence[str]) -> bool:
    for value in values:
        if value.lower() not in ("true", "1", "false", "0"):
            raise InvalidParameter(f"invalid filter '{name}=[{value}]'")
    return any(value.lower() in ("true", "1") for value in values)


def _inspect(networks: NetworkController, request: Request) -> Response:
    return json_response(networks.inspect(request.params["id"]))


def _create(_: NetworkController, request: Request) -> Response:
    raise Unimplemented(
        "creating networks is not supported by this engine",
        hint="Use the predefined networks: bridge, host, none.",
    )


def _remove(networks: NetworkController, request: Request) -> Response:
    record = networks.find(request.params["id"])
    raise Forbidden(f"{record.name} is a pre-defined network and cannot be removed")


def _connect(networks: NetworkController, request: Request) -> Response:
    networks.find(request.params["id"])
    raise Unimplemented("connecting a container to a further network is not supported by this engine")


def _disconnect(networks: NetworkController, request: Request) -> Response:
    networks.find(request.params["id"])
    raise Unimplemented("disconnecting a container from a network is not supported by this engine")


def _prune(_: NetworkController, request: Request) -> Response:
    parse_filters(request.query.text("filters"), _PRUNE_FILTERS)
    return json_response({"NetworksDeleted": None})  # predefined networks are never pruned


ROUTES: tuple[Route[NetworkController], ...] = (
    Route("GET", "/networks", _list),
    Route("POST", "/networks/create", _create),
    Route("POST", "/networks/prune", _prune),
    Route("GET", "/networks/{id}", _inspect),
    Route("DELETE", "/networks/{id}", _remove),
    Route("POST", "/networks/{id}/connect", _connect),
    Route("POST", "/networks/{id}/disconnect", _disconnect),
)

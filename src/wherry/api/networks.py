"""/networks."""

from collections.abc import Mapping, Sequence
from typing import Any

from wherry.api.filters import parse_filters
from wherry.api.request import Request
from wherry.api.response import NO_CONTENT, Response, json_response
from wherry.api.router import Route
from wherry.containers.config import EndpointSettings, Wire
from wherry.containers.connect import connect, disconnect
from wherry.containers.network_removal import prune_networks, remove_network
from wherry.containers.services import Services
from wherry.containers.wire import decode
from wherry.errors import Forbidden, InvalidParameter, NotFound
from wherry.network.creation import CreateNetwork, Pool

_LIST_FILTERS = frozenset(("dangling", "driver", "id", "label", "name", "scope", "type"))
_PRUNE_FILTERS = frozenset(("label", "label!", "until"))
_PREDEFINED = ("bridge", "host", "none")


class IPAMPool(Wire):
    """One entry of IPAM.Config."""

    subnet: str = ""
    ip_range: str = ""
    gateway: str = ""
    auxiliary_addresses: dict[str, str] | None = None
    aux_address: dict[str, str] | None = None
    """What docker-py's old form calls them."""


class IPAM(Wire):
    """How a network gets its addresses."""

    driver: str = ""
    options: dict[str, str] | None = None
    config: list[IPAMPool] | None = None


class NetworkCreateRequest(Wire):
    """Body of POST /networks/create."""

    name: str = ""
    driver: str = ""
    scope: str = ""
    enable_ipv4: bool | None = None
    enable_ipv6: bool | None = None
    ipam: IPAM | None = None
    internal: bool = False
    attachable: bool = False
    ingress: bool = False
    config_only: bool = False
    options: dict[str, str] | None = None
    labels: dict[str, str] | None = None


class ConnectRequest(Wire):
    """Body of POST /networks/{id}/connect."""

    container: str = ""
    endpoint_config: EndpointSettings | None = None


class DisconnectRequest(Wire):
    """Body of POST /networks/{id}/disconnect."""

    container: str = ""
    force: bool = False


def _list(services: Services, request: Request) -> Response:
    filters = parse_filters(request.query.text("filters"), _LIST_FILTERS)
    found = []
    for record in services.networks.networks():
        try:
            found.append(services.networks.inspect(record.id))
        except NotFound:
            continue  # removed since the listing
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


def _inspect(services: Services, request: Request) -> Response:
    return json_response(services.networks.inspect(request.params["id"]))


def _create(services: Services, request: Request) -> Response:
    wanted = decode(request.json_body(), NetworkCreateRequest)
    if wanted.scope not in ("", "local"):
        raise Forbidden(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node '
            "to swarm and try again."
        )
    if wanted.ingress or wanted.config_only:
        raise InvalidParameter("ingress and configuration-only networks are of a swarm, which this node is not in")
    ipam = wanted.ipam or IPAM()
    record = services.networks.create(
        CreateNetwork(
            name=wanted.name,
            driver=wanted.driver or "bridge",
            ipv4=wanted.enable_ipv4 is not False,
            ipv6=bool(wanted.enable_ipv6),
            internal=wanted.internal,
            attachable=wanted.attachable,
            ipam_driver=ipam.driver,
            ipam_options=ipam.options,
            pools=tuple(
                Pool(p.subnet, p.ip_range, p.gateway, p.auxiliary_addresses or p.aux_address or {})
                for p in ipam.config or ()
                if p.subnet or p.gateway or p.ip_range
            ),
            options=wanted.options,
            labels=wanted.labels,
        )
    )
    return json_response({"Id": record.id, "Warning": ""}, status=201)


def _remove(services: Services, request: Request) -> Response:
    remove_network(services, request.params["id"])
    return NO_CONTENT


def _connect(services: Services, request: Request) -> Response:
    wanted = decode(request.json_body(), ConnectRequest)
    connect(services, request.params["id"], wanted.container, wanted.endpoint_config or EndpointSettings())
    return Response(200, b"")


def _disconnect(services: Services, request: Request) -> Response:
    wanted = decode(request.json_body(), DisconnectRequest)
    disconnect(services, request.params["id"], wanted.container, force=wanted.force)
    return Response(200, b"")


def _prune(services: Services, request: Request) -> Response:
    filters = parse_filters(request.query.text("filters"), _PRUNE_FILTERS)
    return json_response({"NetworksDeleted": prune_networks(services, filters) or None})


ROUTES: tuple[Route[Services], ...] = (
    Route("GET", "/networks", _list),
    Route("POST", "/networks/create", _create),
    Route("POST", "/networks/prune", _prune),
    Route("GET", "/networks/{id}", _inspect),
    Route("DELETE", "/networks/{id}", _remove),
    Route("POST", "/networks/{id}/connect", _connect),
    Route("POST", "/networks/{id}/disconnect", _disconnect),
)

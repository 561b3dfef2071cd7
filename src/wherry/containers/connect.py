"""``network connect`` and ``disconnect``: a stopped container's wish, or a running one's interfaces.

Order of the effects, so that a killed engine never gives an address away twice: an address is written down
(adoption) before the monitor uses it, and forgotten after the monitor has let it go.
"""

from typing import Any

from wherry.containers.adoption import write_adoption
from wherry.containers.config import EndpointSettings
from wherry.containers.container import Container, Status
from wherry.containers.data_dir import run_dir
from wherry.containers.dns_plan import dns_plan
from wherry.containers.endpoints import check_endpoint, endpoint_request, own_network
from wherry.containers.network_files import add_host_line, remove_host_lines
from wherry.containers.services import Services
from wherry.errors import Conflict, Forbidden, InvalidParameter, NotFound
from wherry.network.controller import LinkChange
from wherry.network.store import NetworkRecord


def connect(services: Services, network: str, reference: str, settings: EndpointSettings) -> None:
    """Attach to one more network, now if it runs, and at every start. Errors in moby's words."""
    record = services.networks.find(network)
    container = services.containers.get(reference)
    check_endpoint(record, settings)
    with container.verb:
        _check_connectable(container, record)
        if container.running:
            _connect_live(services, container, record, settings)
        with container.lock:
            container.record.networks[record.name] = settings
        services.containers.save(container)


def disconnect(services: Services, network: str, reference: str, *, force: bool) -> None:
    """Leave a network. ``force`` is for a container that no longer exists: here nothing can be left of one."""
    record = services.networks.find(network)
    try:
        container = services.containers.get(reference)
    except NotFound:
        if force:
            raise NotFound(f"unable to force delete endpoint {reference}: no such endpoint") from None
        raise
    with container.verb:
        if container.record.host_config.network_mode == "host" and record.name == "host":
            raise InvalidParameter("container cannot be disconnected from host network or connected to host network")
        if record.name not in _names(services, container):
            raise Conflict(f"container {container.id} is not connected to network {record.name}")
        if container.running and own_network(container.record):
            _disconnect_live(services, container, record)
        with container.lock:
            container.record.networks = {
                name: endpoint
                for name, endpoint in container.record.networks.items()
                if name not in (record.name, record.id)
            }
        services.containers.save(container)


def _names(services: Services, container: Container) -> set[str]:
    found = set()
    for name in container.record.networks:
        try:
            found.add(services.networks.find(name).name)
        except NotFound:
            found.add(name)  # removed meanwhile
    return found


def _check_connectable(container: Container, network: NetworkRecord) -> None:
    mode = container.record.host_config.network_mode
    if container.removed or container.state.status in (Status.REMOVING, Status.DEAD):
        raise Conflict(f"container {container.id} is marked for removal and cannot be connected or disconnected to "
                       "the network")  # fmt: skip
    if mode.startswith("container:"):
        raise InvalidParameter(
            "container sharing network namespace with another container or host cannot be connected to any other "
            "network"
        )
    if mode == "host" or network.name == "host":
        raise InvalidParameter("container cannot be disconnected from host network or connected to host network")
    if network.name == "none" or "none" in container.record.networks:
        raise InvalidParameter(
            "container cannot be connected to multiple networks with one of the networks in private (none) mode"
        )
    if container.running and not own_network(container.record):
        raise Forbidden("container has no network: stop it to connect it to one")


def _connect_live(
    services: Services, container: Container, network: NetworkRecord, settings: EndpointSettings
) -> None:
    request = endpoint_request(container.record, network.name, settings)
    change = services.networks.connect(container.id, request)
    try:
        remember_networks(services, container, change)
        assert container.connection is not None
        container.connection.change_network(
            **change.message, dns=dns_plan(services, container.record, change.endpoints)
        )
    except BaseException:
        _forget(services, container, network)
        raise
    details = change.endpoints[network.name]
    add_host_line(services.settings, container.record, details["IPAddress"])


def _disconnect_live(services: Services, container: Container, network: NetworkRecord) -> None:
    address = (container.record.network_settings["Networks"].get(network.name) or {}).get("IPAddress", "")
    change = services.networks.without(container.id, network.id)
    assert container.connection is not None
    container.connection.change_network(**change.message, dns=dns_plan(services, container.record, change.endpoints))
    remember_networks(services, container, change)
    services.networks.disconnect(container.id, network.id)
    remove_host_lines(services.settings, container.record, address)


def _forget(services: Services, container: Container, network: NetworkRecord) -> None:
    change = services.networks.without(container.id, network.id)
    remember_networks(services, container, change)
    services.networks.disconnect(container.id, network.id)


def remember_networks(services: Services, container: Container, change: LinkChange) -> None:
    """Write down, for the next engine and for inspect, what a running container has of networks now."""
    old = container.record.network_settings
    addresses = {details["IPAddress"] for details in change.endpoints.values()}
    before: dict[str, Any] = old.get("plan") or {}
    proxies = [proxy for proxy in before.get("proxies") or () if proxy["address"] in addresses]
    ports = old.get("Ports") or {}
    if not proxies:
        ports = dict.fromkeys(ports)
    plan = {
        **before,
        **change.plan,
        "proxies": proxies,
        "dns": dns_plan(services, container.record, change.endpoints),
    }
    settings = {"Ports": ports, "Networks": change.endpoints, "plan": plan}
    write_adoption(run_dir(services.settings, container.id), settings)
    with container.lock:
        container.record.network_settings = settings

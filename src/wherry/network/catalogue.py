"""Which networks there are: looked up by name and id, created, removed, described.

The memory is the truth for readers; a creation and a removal are durable on return. Serialised by the controller's
lock.
"""

import ipaddress
from collections.abc import Iterable
from typing import Any

import msgspec

from wherry.errors import Conflict, Forbidden, InvalidParameter, NotFound
from wherry.metadata.database import Database
from wherry.network import creation
from wherry.network.bridge import host_networks
from wherry.network.bridge_network import BridgeNetwork, bridge_name
from wherry.network.creation import CreateNetwork, checked_config
from wherry.network.ipam import DEFAULT_POOLS, free_subnet
from wherry.network.store import (
    NetworkConfig,
    NetworkRecord,
    delete_network,
    insert_network,
    load_networks,
    new_record,
)
from wherry.settings import Settings


class NetworkNotFound(NotFound):
    """No network of that name or id; moby's wording."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"network {reference} not found")


class Catalogue:
    """The networks of one engine; ``bridges`` are those of the bridge driver, by id."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._database = database
        self._by_name = load_networks(database)
        self.bridges = {r.id: self._bridge(r) for r in self._by_name.values() if r.driver == "bridge"}

    def records(self) -> list[NetworkRecord]:
        """All, by name."""
        return [self._by_name[name] for name in sorted(self._by_name)]

    @property
    def default(self) -> BridgeNetwork:
        """The default bridge."""
        return self.bridges[self._by_name["bridge"].id]

    def find(self, reference: str) -> NetworkRecord:
        """By name, id or unique id prefix. NetworkNotFound, or InvalidParameter when ambiguous."""
        by_name = dict(self._by_name)  # readers do not hold the lock
        record = by_name.get("bridge" if reference == "default" else reference)
        if record is not None:
            return record
        matches = [r for r in by_name.values() if reference and r.id.startswith(reference)]
        if len(matches) > 1:
            raise InvalidParameter(
                f"network {reference} is ambiguous ({len(matches)} matches found based on ID prefix)"
            )
        if not matches:
            raise NetworkNotFound(reference)
        return matches[0]

    def create(self, request: CreateNetwork) -> NetworkRecord:
        """A new network, durable. Conflict when the name is taken, Forbidden when the subnet is."""
        config = checked_config(request)
        if request.name in self._by_name:
            raise Conflict(f"network with name {request.name} already exists")
        record = new_record(request.name, request.driver, self._with_subnet(config))
        self._check_bridge_name(record)
        insert_network(self._database, record)
        self._by_name[record.name] = record
        self.bridges[record.id] = self._bridge(record)
        return record

    def remove(self, record: NetworkRecord) -> None:
        """Forget a network; its bridge is gone by now."""
        delete_network(self._database, record)
        del self._by_name[record.name]
        self.bridges.pop(record.id, None)

    def _bridge(self, record: NetworkRecord) -> BridgeNetwork:
        return BridgeNetwork(record, self._settings, self._free_subnet)

    def _taken(self) -> list[ipaddress.IPv4Network]:
        return [n.pool.subnet for n in self.bridges.values() if n.pool is not None]

    def _free_subnet(self) -> ipaddress.IPv4Network:
        pools = self._settings.default_address_pools or DEFAULT_POOLS
        return free_subnet([*self._taken(), *host_networks()], pools)

    def _with_subnet(self, config: NetworkConfig) -> NetworkConfig:
        if config.subnet:
            subnet = ipaddress.IPv4Network(config.subnet)
            if any(subnet.overlaps(other) for other in self._taken()):
                raise Forbidden("invalid pool request: Pool overlaps with other one on this address space")
        else:
            subnet = self._free_subnet()
        gateway = config.gateway or str(_first_free(subnet, config.auxiliary.values()))
        return msgspec.structs.replace(config, subnet=str(subnet), gateway=gateway)

    def _check_bridge_name(self, record: NetworkRecord) -> None:
        name = bridge_name(record)
        for other in self.bridges.values():
            if other.bridge.name == name:
                raise Forbidden(
                    f"bridge name {name} is already in use by network {other.record.name}",
                    hint=f"Give another {creation.BRIDGE_NAME}.",
                )


def describe(record: NetworkRecord, network: BridgeNetwork | None, settings: Settings) -> dict[str, Any]:
    """Docker's Network object (GET /networks/{id}) without its containers."""
    config = record.config
    return {
        "Name": record.name,
        "Id": record.id,
        "Created": record.created,
        "Scope": "local",
        "Driver": record.driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {
            "Driver": "default",
            "Options": config.ipam_options,
            "Config": _pools(record, network),
        },
        "Internal": config.internal,
        "Attachable": config.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {},
        "Options": _default_options(network, settings) if record.name == "bridge" and network else config.options,
        "Labels": config.labels,
    }


def _pools(record: NetworkRecord, network: BridgeNetwork | None) -> list[dict[str, Any]]:
    if network is None or network.pool is None:
        return []
    pool: dict[str, Any] = {"Subnet": str(network.pool.subnet)}
    if record.config.ip_range:
        pool["IPRange"] = record.config.ip_range
    pool["Gateway"] = str(network.pool.gateway)
    if record.config.auxiliary:
        pool["AuxiliaryAddresses"] = record.config.auxiliary
    return [pool]


def _default_options(network: BridgeNetwork, settings: Settings) -> dict[str, str]:
    return {
        "com.docker.network.bridge.default_bridge": "true",
        creation.INTER_CONTAINER: str(settings.icc).lower(),
        creation.MASQUERADE: str(settings.ip_masq).lower(),
        creation.HOST_BINDING: settings.ip,
        creation.BRIDGE_NAME: network.bridge.name,
        creation.MTU: str(settings.mtu),
    }


def _first_free(subnet: ipaddress.IPv4Network, reserved: Iterable[str]) -> ipaddress.IPv4Address:
    taken = set(reserved)
    for address in subnet.hosts():
        if str(address) not in taken:
            return address
    raise InvalidParameter(f"invalid network config:\nno address of {subnet} is left for the gateway")

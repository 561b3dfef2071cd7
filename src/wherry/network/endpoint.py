"""One container on one network: what is asked for, what it gets, and both as data for Docker and for the monitor."""

import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wherry.errors import Conflict, Forbidden
from wherry.network.bridge_network import BridgeNetwork
from wherry.network.store import NetworkRecord


@dataclass(frozen=True, slots=True)
class EndpointRequest:
    """``network`` is a name or an id. ``address``, ``mac``: empty for whatever is free.
    ``ipam_config``: IPAMConfig as the client wrote it, shown again by inspect."""

    network: str
    address: str = ""
    mac: str = ""
    aliases: Sequence[str] | None = None
    links: Sequence[str] | None = None
    dns_names: Sequence[str] = ()
    driver_opts: Mapping[str, str] | None = None
    gateway_priority: int = 0
    ipam_config: Mapping[str, Any] | None = None


@dataclass(slots=True)
class Endpoint:
    """``details`` is Docker's EndpointSettings; ``interface`` the monitor's part, None for host and none."""

    network: NetworkRecord
    details: dict[str, Any]
    address: ipaddress.IPv4Address | None = None
    interface: dict[str, Any] | None = None
    external: bool = False

    @property
    def gateway(self) -> str:
        """The network's address on the host."""
        gateway: str = self.details.get("Gateway", "")
        return gateway

    @property
    def rank(self) -> tuple[int, str]:
        """Sorts the endpoints for the default route, the best one first (moby ``selectGW``)."""
        return -int(self.details.get("GwPriority") or 0), self.network.name


@dataclass(slots=True)
class Attached:
    """What one container holds. ``published``: (the network's id, the firewall's part) of each port."""

    name: str
    endpoints: dict[str, Endpoint] = field(default_factory=dict)

    def gateway_endpoint(self) -> Endpoint | None:
        """Where the default route goes; None when every network is internal."""
        return min((e for e in self.endpoints.values() if e.external), key=lambda e: e.rank, default=None)

    def routes(self) -> list[dict[str, str]]:
        """The monitor's routes."""
        best = self.gateway_endpoint()
        if best is None or best.interface is None:
            return []
        return [{"destination": "0.0.0.0/0", "gateway": best.gateway, "interface": best.interface["name"]}]

    def free_interface_name(self) -> str:
        """``eth0`` or the first that is not taken."""
        taken = {e.interface["name"] for e in self.endpoints.values() if e.interface}
        return next(name for name in map("eth{}".format, range(len(taken) + 1)) if name not in taken)


def plain_endpoint(record: NetworkRecord) -> Endpoint:
    """Of ``host`` and ``none``."""
    return Endpoint(record, _details(record, EndpointRequest(record.name)))


def bridge_endpoint(
    network: BridgeNetwork, request: EndpointRequest, address: ipaddress.IPv4Address, interface_name: str
) -> Endpoint:
    """On a bridge whose pool has given ``address``."""
    pool = network.pool
    assert pool is not None
    mac = request.mac or "02:42:" + address.packed.hex(":")
    details = _details(network.record, request) | {
        "MacAddress": mac,
        "Gateway": str(pool.gateway),
        "IPAddress": str(address),
        "IPPrefixLen": pool.subnet.prefixlen,
    }
    interface = {
        "name": interface_name,
        "host_name": f"veth{secrets.token_hex(4)[:7]}",
        "bridge": network.bridge.name,
        "bridge_index": network.bridge.index,
        "mac": mac,
        "mtu": network.bridge.mtu,
        "addresses": [f"{address}/{pool.subnet.prefixlen}"],
        "isolated": not network.inter_container,
        "network": network.record.id,
    }
    return Endpoint(network.record, details, address, interface, external=not network.internal)


def restored_endpoints(
    plan: Mapping[str, Any], records: Mapping[str, NetworkRecord], bridge_id: str
) -> dict[str, Endpoint]:
    """Endpoints by network id from a live monitor's plan; what belongs to no network of ``records`` (by id) is left
    out. Plans of engines before user-defined networks have one ``endpoint``."""
    details = {d["NetworkID"]: d for d in plan.get("endpoints") or [plan["endpoint"]] if d} if (
        plan.get("endpoints") or plan.get("endpoint")
    ) else {}  # fmt: skip
    interfaces = {i.get("network", bridge_id): i for i in plan.get("interfaces") or []}
    found = {}
    for network_id, settings in details.items():
        record, interface = records.get(network_id), interfaces.get(network_id)
        if record is None:
            continue
        address = ipaddress.IPv4Interface(interface["addresses"][0]).ip if interface else None
        found[network_id] = Endpoint(
            record, dict(settings), address, interface, external=address is not None and not record.config.internal
        )
    return found


def _details(record: NetworkRecord, request: EndpointRequest) -> dict[str, Any]:
    return {
        "IPAMConfig": dict(request.ipam_config) if request.ipam_config is not None else None,
        "Links": list(request.links) if request.links else None,
        "Aliases": list(request.aliases) if request.aliases else None,
        "MacAddress": "",
        "DriverOpts": dict(request.driver_opts) if request.driver_opts else None,
        "GwPriority": request.gateway_priority,
        "NetworkID": record.id,
        "EndpointID": secrets.token_hex(32),
        "Gateway": "",
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "DNSNames": None if record.predefined else list(dict.fromkeys(request.dns_names)) or None,
    }


class NetworkInUse(Forbidden):
    """Containers are on the network (their names and endpoints); moby's wording."""

    def __init__(self, record: NetworkRecord, active: Sequence[tuple[str, Endpoint]]) -> None:
        listed = ", ".join(f'name:"{name}" id:"{e.details["EndpointID"][:12]}"' for name, e in active)
        super().__init__(f"error while removing network: network {record.name} has active endpoints ({listed})")


class NotConnected(Conflict):
    """The container is not on the network; moby's wording."""

    def __init__(self, container_id: str, record: NetworkRecord) -> None:
        super().__init__(f"container {container_id} is not connected to network {record.name}")

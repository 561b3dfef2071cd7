"""What a container asks of its networks: checked as moby does, and put in the network controller's words.

Sources: moby ``daemon/container_operations.go`` (validateEndpointSettings, buildEndpointDNSNames).
"""

import ipaddress
import re
from collections.abc import Mapping, Sequence

import msgspec

from wherry.containers.config import EndpointSettings
from wherry.containers.container import Record
from wherry.errors import InvalidParameter
from wherry.network.controller import EndpointRequest
from wherry.network.store import NetworkRecord

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


def network_mode(record: Record) -> str:
    """The mode of the next start: HostConfig.NetworkMode, unless ``none`` was exchanged for networks since."""
    mode = record.host_config.network_mode
    if record.config.network_disabled:
        return "none"
    if mode == "none" and record.networks and "none" not in record.networks:
        return next(iter(record.networks))
    return mode


def own_network(record: Record) -> bool:
    """Whether the container has bridge endpoints, not the host's, another container's or no network."""
    mode = network_mode(record)
    return not mode.startswith("container:") and mode not in ("host", "none")


def endpoint_requests(record: Record) -> list[EndpointRequest]:
    """One for each network of the record."""
    if not own_network(record):
        return []
    mode = record.host_config.network_mode
    return [
        endpoint_request(record, name, settings, mac=record.config.mac_address if name == mode else "")
        for name, settings in record.networks.items()
    ]


def endpoint_request(record: Record, network: str, settings: EndpointSettings, *, mac: str = "") -> EndpointRequest:
    """``mac`` is what the container as a whole asked for."""
    ipam = settings.ipam_config
    return EndpointRequest(
        network=network,
        address=ipam.ipv4_address if ipam else "",
        mac=settings.mac_address or mac,
        aliases=settings.aliases,
        links=settings.links,
        dns_names=(record.name, *(settings.aliases or ()), record.id[:12], record.config.hostname),
        driver_opts=settings.driver_opts,
        gateway_priority=settings.gw_priority,
        ipam_config=_shown(ipam) if ipam else None,
    )


def _shown(ipam: msgspec.Struct) -> dict[str, object]:
    return {name: value for name, value in msgspec.to_builtins(ipam).items() if value}


def check_endpoint(network: NetworkRecord, settings: EndpointSettings) -> None:
    """InvalidParameter in moby's words for what this network cannot give."""
    faults: list[str] = []
    ipam = settings.ipam_config
    address = ipam.ipv4_address if ipam else ""
    if ipam and ipam.ipv6_address:
        faults.append("no configured subnet or ip-range contain the IP address " + ipam.ipv6_address)
    if address:
        faults += _address_faults(network, address)
    if network.predefined and settings.aliases:
        faults.append("network-scoped aliases are only supported for user-defined networks")
    if settings.mac_address and not _MAC.match(settings.mac_address.lower()):
        faults.append(f"invalid MAC address: {settings.mac_address}")
    if faults:
        listed = "\n".join(faults)
        raise InvalidParameter(f"invalid config for network {network.name}: invalid endpoint settings:\n{listed}")


def _address_faults(network: NetworkRecord, text: str) -> Sequence[str]:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        return [f"invalid IPv4 address: {text}"]
    if network.predefined:
        return ["user specified IP address is supported on user defined networks only"]
    if not network.config.chosen_subnet:
        return [
            "user specified IP address is supported only when connecting to networks with user configured subnets"
        ]
    if address not in ipaddress.IPv4Network(network.config.subnet):
        return [f"no configured subnet or ip-range contain the IP address {text}"]
    return []


def check_endpoints(endpoints: Mapping[str, EndpointSettings], known: Mapping[str, NetworkRecord]) -> None:
    """All endpoints whose network is known; an unknown one is the start's error."""
    for name, settings in endpoints.items():
        if name in known:
            check_endpoint(known[name], settings)
    if len(endpoints) > 1 and any(name in ("host", "none") for name in endpoints):
        raise InvalidParameter(
            "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
        )

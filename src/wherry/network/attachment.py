"""What a container gets of its networks, as data: the plan for the monitor, the settings for Docker's inspect."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from wherry.network.endpoint import Attached, Endpoint
from wherry.network.firewall import Published
from wherry.network.ports import PublishedPort


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a container got.

    ``plan`` goes to the monitor together with the ``listeners``' sockets, which the caller closes after.
    ``endpoints`` and ``ports`` are Docker's NetworkSettings.Networks and .Ports. ``gateway``: the host as the
    container sees it.
    """

    plan: dict[str, Any]
    listeners: list[PublishedPort]
    endpoints: dict[str, dict[str, Any]]
    ports: dict[str, list[dict[str, str]] | None]
    addresses: tuple[str, ...] = ()
    gateway: str = ""

    @property
    def address(self) -> str:
        """The first interface's; empty without one."""
        return self.addresses[0] if self.addresses else ""

    def close(self) -> None:
        """Close this process's copies of the listeners."""
        for port in self.listeners:
            port.listener.close()


@dataclass(frozen=True, slots=True)
class LinkChange:
    """What a live container's monitor is to do: ``message`` is its ``network`` operation. ``endpoints`` and
    ``plan`` are the whole as it is afterwards."""

    message: dict[str, Any]
    endpoints: dict[str, dict[str, Any]]
    plan: dict[str, Any]


def build_plan(mode: str, attached: Attached, listeners: Sequence[PublishedPort]) -> dict[str, Any]:
    """The monitor's plan (docs/design/seams.md)."""
    best = attached.gateway_endpoint()
    plan: dict[str, Any] = {
        "mode": mode,
        "endpoints": [endpoint.details for endpoint in attached.endpoints.values()],
        "name": attached.name,
    }
    if mode == "bridge":
        plan |= {
            "interfaces": [e.interface for e in attached.endpoints.values()],
            "routes": attached.routes(),
            "proxies": [
                {"listener": index, "protocol": p.protocol, "address": str(best.address) if best else "",
                 "port": p.container_port, "host_ip": p.host_ip, "host_port": p.host_port}
                for index, p in enumerate(listeners)
            ],
        }  # fmt: skip
    return plan


def network_settings(attached: Attached) -> dict[str, dict[str, Any]]:
    """Docker's NetworkSettings.Networks."""
    return {endpoint.network.name: endpoint.details for endpoint in attached.endpoints.values()}


def link_change(attached: Attached, *, add: Sequence[Endpoint] = (), remove: Sequence[Endpoint] = ()) -> LinkChange:
    """``attached`` as it is afterwards, and what leads there."""
    plan = build_plan("bridge", attached, [])
    message = {
        "add": [e.interface for e in add],
        "remove": [e.interface["name"] for e in remove if e.interface],
        "routes": plan["routes"],
    }
    return LinkChange(message, network_settings(attached), plan)


def container_summary(name: str, endpoint: Endpoint) -> dict[str, str]:
    """One of Docker's Network.Containers."""
    details = endpoint.details
    address = f"{details['IPAddress']}/{details['IPPrefixLen']}" if details.get("IPAddress") else ""
    return {
        "Name": name,
        "EndpointID": str(details.get("EndpointID", "")),
        "MacAddress": str(details.get("MacAddress", "")),
        "IPv4Address": address,
        "IPv6Address": "",
    }


def published_by_plan(plan: Mapping[str, Any], attached: Attached) -> dict[str, list[Published]]:
    """The ports of a live container by network id, from its plan."""
    network_of = {str(endpoint.address): network_id for network_id, endpoint in attached.endpoints.items()}
    found: dict[str, list[Published]] = {}
    for p in plan.get("proxies") or []:
        port = Published(p["protocol"], p["host_ip"], p["host_port"], p["address"], p["port"])
        if port.address in network_of:
            found.setdefault(network_of[port.address], []).append(port)
    return found


def port_settings(
    listeners: Sequence[PublishedPort], exposed: Sequence[str]
) -> dict[str, list[dict[str, str]] | None]:
    """Docker's NetworkSettings.Ports."""
    ports: dict[str, list[dict[str, str]] | None] = dict.fromkeys(exposed)
    for port in listeners:
        key = f"{port.container_port}/{port.protocol}"
        bindings = ports.get(key) or []
        bindings.append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
        ports[key] = bindings
    return ports

"""Attaching containers to networks: addresses, published ports, and the plan that the monitor carries out.

The plan (docs/design/seams.md) is data: the monitor makes the interfaces itself, in its own namespace, so a
container that dies with everything around it leaves no veth and no namespace behind. What is on the host is
the bridge, the firewall table and, while a container lives, elements of its maps.

Threads: any; the lock is held for memory and for the first making of the bridge only.
"""

import ipaddress
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from wherry.errors import InvalidParameter, NotFound
from wherry.log import get_logger
from wherry.metadata.database import Database
from wherry.network.bridge import Bridge
from wherry.network.firewall import BridgeRules, Firewall, Published
from wherry.network.ipam import AddressPool
from wherry.network.ports import PortBinding, PortUnavailable, PublishedPort, publish
from wherry.network.store import NetworkRecord, load_networks
from wherry.settings import Settings

_logger = get_logger(__name__)

_INTERFACE = "eth0"


class NetworkNotFound(NotFound):
    """No network of that name or id; moby's wording."""

    def __init__(self, reference: str) -> None:
        super().__init__(f"network {reference} not found")


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a container got.

    ``plan`` goes to the monitor together with the ``listeners``' sockets, which the caller closes after.
    ``endpoints`` and ``ports`` are Docker's NetworkSettings.Networks and .Ports.
    """

    plan: dict[str, Any]
    listeners: list[PublishedPort]
    endpoints: dict[str, dict[str, Any]]
    ports: dict[str, list[dict[str, str]] | None]
    address: str = ""

    def close(self) -> None:
        """Close this process's copies of the listeners."""
        for port in self.listeners:
            port.listener.close()


@dataclass(slots=True)
class _Endpoint:
    address: ipaddress.IPv4Address | None
    published: list[Published] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    name: str = ""


class NetworkController:
    """The networks of one engine."""

    def __init__(self, settings: Settings, database: Database) -> None:
        self._settings = settings
        self._records = load_networks(database)
        self._lock = threading.Lock()
        self._bridge = Bridge(settings)
        self._firewall = Firewall(settings.firewall_table)
        self._pool: AddressPool | None = None
        self._endpoints: dict[str, _Endpoint] = {}

    def start(self, live: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up what an earlier engine left: ``live`` maps the ids of containers that run to their plans.

        Addresses and ports of all others are free again, and the firewall table is what it should be.
        """
        with self._lock:
            if not self._bridge.adopt():
                return
            pool = self._ensure_pool()
            published: list[Published] = []
            for container_id, plan in live.items():
                endpoint = _endpoint_from_plan(plan)
                if endpoint.address is not None:
                    if endpoint.address not in pool.subnet:
                        _logger.warning(
                            "container %s has %s, outside %s", container_id, endpoint.address, pool.subnet
                        )
                        endpoint.address = None
                    else:
                        pool.reserve(endpoint.address)
                self._endpoints[container_id] = endpoint
                published += endpoint.published
            self._firewall.rebuild(self._rules(), published)

    def attach(
        self,
        container_id: str,
        *,
        name: str,
        mode: str,
        ports: Sequence[PortBinding] = (),
        exposed: Sequence[str] = (),
        join_pid: int = 0,
        address: str = "",
        mac: str = "",
    ) -> Attachment:
        """Join the network that ``mode`` names: ``default``/``bridge``, ``host``, ``none``, or ``container:…``
        with the other container's process in ``join_pid``.

        ``exposed`` are ``80/tcp`` strings that inspect shows even if nothing is published. All or nothing:
        PortUnavailable, PoolExhausted, InvalidParameter leave no trace. ``detach`` undoes it.
        """
        if mode.startswith("container:"):
            return Attachment({"mode": "join", "join_pid": join_pid}, [], {}, {})
        if mode in ("host", "none"):
            details = self._endpoint_details(self._records[mode])
            plan: dict[str, Any] = {"mode": mode, "endpoint": details, "name": name}
            with self._lock:
                self._endpoints[container_id] = _Endpoint(None, details=details, name=name)
            return Attachment(plan, [], {mode: details}, {})
        if mode not in ("default", "bridge", "", self._records["bridge"].id):
            raise NetworkNotFound(mode)
        return self._attach_bridge(container_id, name, ports, exposed, address, mac)

    def _attach_bridge(
        self,
        container_id: str,
        name: str,
        ports: Sequence[PortBinding],
        exposed: Sequence[str],
        wanted: str,
        mac: str,
    ) -> Attachment:
        with self._lock:
            new = self._pool is None
            pool = self._ensure_pool()
            if new:
                self._firewall.rebuild(self._rules(), ())
        address = _take(pool, wanted)
        try:
            listeners = publish(ports, default_ip=self._settings.ip)
        except BaseException:
            pool.release(address)
            raise
        published = [Published(p.protocol, p.host_ip, p.host_port, str(address), p.container_port) for p in listeners]
        mac = mac or "02:42:" + address.packed.hex(":")
        gateway = str(pool.gateway)
        details = self._endpoint_details(self._records["bridge"]) | {
            "EndpointID": secrets.token_hex(32),
            "Gateway": gateway,
            "IPAddress": str(address),
            "IPPrefixLen": pool.subnet.prefixlen,
            "MacAddress": mac,
        }
        endpoint = _Endpoint(address, published, details, name)
        try:
            if published:
                self._publish(published)
        except BaseException:
            pool.release(address)
            for port in listeners:
                port.listener.close()
            raise
        with self._lock:
            self._endpoints[container_id] = endpoint
        plan = {
            "mode": "bridge",
            "interfaces": [
                {
                    "name": _INTERFACE,
                    "host_name": f"veth{secrets.token_hex(4)[:7]}",
                    "bridge": self._bridge.name,
                    "bridge_index": self._bridge.index,
                    "mac": mac,
                    "mtu": self._settings.mtu,
                    "addresses": [f"{address}/{pool.subnet.prefixlen}"],
                }
            ],
            "routes": [{"destination": "0.0.0.0/0", "gateway": gateway, "interface": _INTERFACE}],
            "proxies": [
                {"listener": index, "protocol": p.protocol, "address": str(address), "port": p.container_port,
                 "host_ip": p.host_ip, "host_port": p.host_port}
                for index, p in enumerate(listeners)
            ],
            "endpoint": details,
            "name": name,
        }  # fmt: skip
        return Attachment(plan, listeners, {"bridge": details}, _ports(listeners, exposed), str(address))

    def _publish(self, published: Sequence[Published]) -> None:
        try:
            self._firewall.publish(published)
        except FileExistsError as exc:
            # Its socket is free, its rule not yet: the container before us is over and not detached.
            first = published[0]
            raise PortUnavailable(
                f"Bind for {first.host_ip}:{first.host_port} failed: port is already allocated"
            ) from exc

    def detach(self, container_id: str) -> None:
        """Give back address and ports. A container that is not attached is no error."""
        with self._lock:
            endpoint = self._endpoints.pop(container_id, None)
            pool = self._pool
        if endpoint is None:
            return
        if endpoint.published:
            self._firewall.withdraw(endpoint.published)
        if endpoint.address is not None and pool is not None:
            pool.release(endpoint.address)

    def reconcile(self) -> bool:
        """Repair the firewall table if somebody changed or flushed it; True when it had to be."""
        with self._lock:
            if self._pool is None or self._firewall.intact():
                return False
        self._firewall.restore()
        _logger.warning("nftables table %s was changed or flushed: restored", self._settings.firewall_table)
        return True

    def stop_if_unused(self) -> None:
        """With no container attached remove bridge and table, and restore ip_forward: nothing stays behind."""
        with self._lock:
            if any(e.address is not None for e in self._endpoints.values()):
                return
            if self._pool is not None or self._bridge.adopt():
                self._firewall.remove()
                self._bridge.remove()
            self._pool = None

    def close(self) -> None:
        """Close what this process holds; networks and rules stay for the containers that live."""
        self._firewall.close()

    @property
    def gateway(self) -> str:
        """The default bridge's address on the host, for ``host-gateway``; empty while there is no bridge."""
        return str(self._pool.gateway) if self._pool else ""

    def networks(self) -> list[NetworkRecord]:
        """Every network, by name."""
        return sorted(self._records.values(), key=lambda record: record.name)

    def find(self, reference: str) -> NetworkRecord:
        """A network by name, id or unambiguous id prefix; NetworkNotFound."""
        record = self._records.get(reference)
        if record is not None:
            return record
        matches = [r for r in self._records.values() if reference and r.id.startswith(reference)]
        if len(matches) > 1:
            raise InvalidParameter(
                f"network {reference} is ambiguous ({len(matches)} matches found based on ID prefix)"
            )
        if not matches:
            raise NetworkNotFound(reference)
        return matches[0]

    def inspect(self, reference: str) -> dict[str, Any]:
        """Docker's Network object (GET /networks/{id})."""
        record = self.find(reference)
        pool = self._pool
        config: list[dict[str, str]] = []
        if record.driver == "bridge" and pool is not None:
            config = [{"Subnet": str(pool.subnet), "Gateway": str(pool.gateway)}]
        options: dict[str, str] = {}
        if record.driver == "bridge":
            options = {
                "com.docker.network.bridge.default_bridge": "true",
                "com.docker.network.bridge.enable_icc": str(self._settings.icc).lower(),
                "com.docker.network.bridge.enable_ip_masquerade": str(self._settings.ip_masq).lower(),
                "com.docker.network.bridge.host_binding_ipv4": self._settings.ip,
                "com.docker.network.bridge.name": self._bridge.name,
                "com.docker.network.driver.mtu": str(self._settings.mtu),
            }
        return {
            "Name": record.name,
            "Id": record.id,
            "Created": record.created,
            "Scope": "local",
            "Driver": record.driver,
            "EnableIPv4": True,
            "EnableIPv6": False,
            "IPAM": {"Driver": "default", "Options": None, "Config": config},
            "Internal": False,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": self._containers(record),
            "Options": options,
            "Labels": {},
        }

    def _containers(self, record: NetworkRecord) -> dict[str, dict[str, str]]:
        with self._lock:
            return {
                container_id: {
                    "Name": endpoint.name,
                    "EndpointID": str(endpoint.details.get("EndpointID", "")),
                    "MacAddress": str(endpoint.details.get("MacAddress", "")),
                    "IPv4Address": f"{endpoint.details['IPAddress']}/{endpoint.details['IPPrefixLen']}"
                    if endpoint.details.get("IPAddress")
                    else "",
                    "IPv6Address": "",
                }
                for container_id, endpoint in self._endpoints.items()
                if endpoint.details.get("NetworkID") == record.id
            }

    def _ensure_pool(self) -> AddressPool:
        interface = self._bridge.ensure()
        if self._pool is None:
            self._pool = AddressPool(interface.network, interface.ip)
        return self._pool

    def _rules(self) -> list[BridgeRules]:
        assert self._pool is not None
        return [
            BridgeRules(
                self._bridge.name,
                self._pool.subnet,
                masquerade=self._settings.ip_masq,
                inter_container=self._settings.icc,
            )
        ]

    def _endpoint_details(self, record: NetworkRecord) -> dict[str, Any]:
        return {
            "IPAMConfig": None,
            "Links": None,
            "Aliases": None,
            "MacAddress": "",
            "DriverOpts": None,
            "GwPriority": 0,
            "NetworkID": record.id,
            "EndpointID": secrets.token_hex(32),
            "Gateway": "",
            "IPAddress": "",
            "IPPrefixLen": 0,
            "IPv6Gateway": "",
            "GlobalIPv6Address": "",
            "GlobalIPv6PrefixLen": 0,
            "DNSNames": None,
        }


def _take(pool: AddressPool, wanted: str) -> ipaddress.IPv4Address:
    if not wanted:
        return pool.allocate()
    try:
        address = ipaddress.IPv4Address(wanted)
    except ValueError as exc:
        raise InvalidParameter(f"invalid IPv4 address: {wanted}") from exc
    pool.reserve(address)
    return address


def _endpoint_from_plan(plan: Mapping[str, Any]) -> _Endpoint:
    interfaces = plan.get("interfaces") or []
    address = ipaddress.IPv4Interface(interfaces[0]["addresses"][0]).ip if interfaces else None
    published = [
        Published(p["protocol"], p["host_ip"], p["host_port"], p["address"], p["port"])
        for p in plan.get("proxies") or []
    ]
    return _Endpoint(address, published, dict(plan.get("endpoint") or {}), str(plan.get("name", "")))


def _ports(listeners: Sequence[PublishedPort], exposed: Sequence[str]) -> dict[str, list[dict[str, str]] | None]:
    ports: dict[str, list[dict[str, str]] | None] = dict.fromkeys(exposed)
    for port in listeners:
        key = f"{port.container_port}/{port.protocol}"
        bindings = ports.get(key) or []
        bindings.append({"HostIp": port.host_ip, "HostPort": str(port.host_port)})
        ports[key] = bindings
    return ports

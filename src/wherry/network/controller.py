"""Attaching containers to networks: addresses, published ports, and the plan that the monitor carries out.

The plan (docs/design/seams.md) is data: the monitor makes the interfaces itself, in its own namespace, so a
container that dies with everything around it leaves no veth and no namespace behind. What is on the host is
bridges, the firewall table and, while a container lives, elements of its maps.

Threads: any; the lock is held for memory, for the first making of a bridge and for the commit of a new network.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from wherry.errors import Forbidden, InvalidParameter, System
from wherry.log import get_logger
from wherry.metadata.database import Database
from wherry.network.attachment import (
    Attachment,
    LinkChange,
    build_plan,
    container_summary,
    link_change,
    network_settings,
    port_settings,
    published_by_plan,
)
from wherry.network.bridge_network import BridgeNetwork
from wherry.network.catalogue import Catalogue, NetworkNotFound, describe
from wherry.network.creation import CreateNetwork
from wherry.network.dns_records import NameRecord, remove_records, write_records
from wherry.network.endpoint import (
    Attached,
    Endpoint,
    EndpointRequest,
    NetworkInUse,
    NotConnected,
    bridge_endpoint,
    plain_endpoint,
    restored_endpoints,
)
from wherry.network.firewall import Firewall
from wherry.network.forwarding import Forwarding
from wherry.network.ipam import AddressPool
from wherry.network.ports import PortBinding, PublishedPort
from wherry.network.published import PublishedPorts
from wherry.network.store import NetworkRecord
from wherry.settings import Settings

__all__ = ["Attachment", "EndpointRequest", "LinkChange", "NetworkController", "NetworkInUse", "NetworkNotFound"]

_logger = get_logger(__name__)

Publish = Callable[[str, str, str, Mapping[str, str]], None]


class NetworkController:
    """The networks of one engine. ``publish`` tells events: kind, action, id, attributes."""

    def __init__(self, settings: Settings, database: Database, publish: Publish | None = None) -> None:
        self._settings = settings
        self._catalogue = Catalogue(settings, database)
        self._tell: Publish = publish or (lambda *_: None)
        self._lock = threading.Lock()
        self._forwarding = Forwarding(settings.run_root)
        self._firewall = Firewall(settings.firewall_table)
        self._attached: dict[str, Attached] = {}
        self._ports = PublishedPorts(self._firewall)

    # Networks

    def networks(self) -> list[NetworkRecord]:
        """All, by name."""
        with self._lock:
            return self._catalogue.records()

    def find(self, reference: str) -> NetworkRecord:
        """By name, id or unique id prefix. NetworkNotFound, or InvalidParameter when ambiguous."""
        return self._catalogue.find(reference)

    def create(self, request: CreateNetwork) -> NetworkRecord:
        """A user-defined network, durable on return; its bridge is made when a container needs it."""
        with self._lock:
            record = self._catalogue.create(request)
        self._tell("network", "create", record.id, {"name": record.name, "type": record.driver})
        return record

    def remove(self, reference: str) -> NetworkRecord:
        """Remove a user-defined network. Forbidden while containers are on it, and for the predefined ones."""
        with self._lock:
            record = self._catalogue.find(reference)
            if record.predefined:
                raise Forbidden(f"{record.name} is a pre-defined network and cannot be removed")
            active = [(a.name, a.endpoints[record.id]) for a in self._attached.values() if record.id in a.endpoints]
            if active:
                raise NetworkInUse(record, active)
            network = self._catalogue.bridges[record.id]
            network.bridge.adopt()  # what an engine before us may have left
            if network.up:
                # The rules first: a kill in between leaves a bridge, which the next engine takes up.
                self._refresh_firewall(without=network)
                network.remove_bridge()
            self._catalogue.remove(record)
            remove_records(self._settings.run_root, record.id)
        self._tell("network", "destroy", record.id, {"name": record.name, "type": record.driver})
        return record

    def inspect(self, reference: str) -> dict[str, Any]:
        """Docker's Network object (GET /networks/{id})."""
        with self._lock:
            record = self._catalogue.find(reference)
            found = describe(record, self._catalogue.bridges.get(record.id), self._settings)
            found["Containers"] = {
                container_id: container_summary(attached.name, attached.endpoints[record.id])
                for container_id, attached in self._attached.items()
                if record.id in attached.endpoints
            }
        return found

    # Containers

    def start(self, live: Mapping[str, Mapping[str, Any]]) -> None:
        """Take up what an earlier engine left: ``live`` maps the ids of containers that run to their plans.

        Addresses and ports of all others are free again, and the firewall table is what it should be.
        """
        with self._lock:
            for network in self._catalogue.bridges.values():
                network.adopt()
            records = {record.id: record for record in self._catalogue.records()}
            for container_id, plan in live.items():
                attached = Attached(str(plan.get("name", "")))
                attached.endpoints = restored_endpoints(plan, records, self._catalogue.default.record.id)
                for endpoint in attached.endpoints.values():
                    self._reserve_again(container_id, endpoint)
                self._attached[container_id] = attached
                self._ports.adopt(container_id, published_by_plan(plan, attached))
            self._write_names(records)
            if self._up():
                self._firewall.rebuild([n.rules() for n in self._up()], self._ports.all())

    def _reserve_again(self, container_id: str, endpoint: Endpoint) -> None:
        if endpoint.address is None:
            return
        pool = self._catalogue.bridges[endpoint.network.id].ready()
        if endpoint.address in pool.subnet:
            pool.reserve(endpoint.address)
        else:
            _logger.warning("container %s has %s, outside %s", container_id, endpoint.address, pool.subnet)
            endpoint.address = None

    def attach(
        self,
        container_id: str,
        *,
        name: str,
        mode: str,
        endpoints: Sequence[EndpointRequest] = (),
        ports: Sequence[PortBinding] = (),
        exposed: Sequence[str] = (),
        join_pid: int = 0,
    ) -> Attachment:
        """Join the network that ``mode`` names and those of ``endpoints``: ``default``/``bridge``, a user-defined
        one, ``host``, ``none``, or ``container:…`` with the other container's process in ``join_pid``.

        ``exposed`` are ``80/tcp`` strings that inspect shows even if nothing is published. All or nothing:
        PortUnavailable, PoolExhausted, InvalidParameter leave no trace. ``detach`` undoes it.
        """
        if mode.startswith("container:"):
            return Attachment({"mode": "join", "join_pid": join_pid}, [], {}, {})
        if mode in ("host", "none"):
            endpoint = plain_endpoint(self.find(mode))
            with self._lock:
                attached = self._attached[container_id] = Attached(name, {endpoint.network.id: endpoint})
            self._tell_endpoint("connect", container_id, endpoint)
            return Attachment(build_plan(mode, attached, []), [], network_settings(attached), {})
        attached = self._join_all(container_id, name, self._requests(mode, endpoints))
        try:
            listeners = self._publish_ports(container_id, attached, ports)
        except BaseException:
            self._leave_all(container_id)
            raise
        for endpoint in attached.endpoints.values():
            self._tell_endpoint("connect", container_id, endpoint)
        best = attached.gateway_endpoint() or next(iter(attached.endpoints.values()))
        return Attachment(
            build_plan("bridge", attached, listeners),
            listeners,
            network_settings(attached),
            port_settings(listeners, exposed),
            tuple(str(e.address) for e in attached.endpoints.values()),
            best.gateway,
        )

    def _requests(self, mode: str, endpoints: Sequence[EndpointRequest]) -> dict[str, EndpointRequest]:
        """Network id → request; the mode's network first, then by name. The mode may be a name or an id."""
        found = {self._catalogue.find(request.network).id: request for request in endpoints}
        if not found:
            found = {self._catalogue.find(mode or "default").id: EndpointRequest(mode or "default")}
        first = self._catalogue.find(mode or "default").id if len(found) > 1 else ""
        return {key: found[key] for key in sorted(found, key=lambda key: (key != first, found[key].network))}

    def _join_all(self, container_id: str, name: str, requests: Mapping[str, EndpointRequest]) -> Attached:
        attached = Attached(name)
        with self._lock:
            try:
                for network_id, request in requests.items():
                    attached.endpoints[network_id] = self._join(network_id, request, attached)
                self._attached[container_id] = attached
                self._write_names(attached.endpoints)
            except BaseException:
                self._attached.pop(container_id, None)
                self._release(attached)
                raise
        return attached

    def _join(self, network_id: str, request: EndpointRequest, attached: Attached) -> Endpoint:
        network = self._catalogue.bridges.get(network_id)
        if network is None:
            raise InvalidParameter(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            )
        address = self._ready(network).take(request.address)
        return bridge_endpoint(network, request, address, attached.free_interface_name())

    def _ready(self, network: BridgeNetwork) -> AddressPool:
        if network.up:
            return network.ready()
        pool = network.ready()
        if self._settings.ip_forward:
            self._forwarding.switch_on()
        self._refresh_firewall()
        return pool

    def _publish_ports(
        self, container_id: str, attached: Attached, ports: Sequence[PortBinding]
    ) -> list[PublishedPort]:
        """On the network of the default route, as Docker: an internal one publishes nothing."""
        best = attached.gateway_endpoint()
        if best is None or not ports:
            return []
        host_binding = self._catalogue.bridges[best.network.id].host_binding
        return self._ports.publish(container_id, best.network.id, str(best.address), ports, default_ip=host_binding)

    def detach(self, container_id: str) -> None:
        """Give back addresses and ports. A container that is not attached is no error."""
        attached = self._leave_all(container_id)
        for endpoint in attached.endpoints.values() if attached else ():
            self._tell_endpoint("disconnect", container_id, endpoint)

    def _leave_all(self, container_id: str) -> Attached | None:
        with self._lock:
            attached = self._attached.pop(container_id, None)
        self._ports.withdraw(container_id)
        if attached is not None:
            with self._lock:
                self._release(attached)
                self._take_names_away(attached.endpoints)
        return attached

    def _release(self, attached: Attached) -> None:
        for network_id, endpoint in attached.endpoints.items():
            self._release_address(network_id, endpoint)

    def _release_address(self, network_id: str, endpoint: Endpoint) -> None:
        network = self._catalogue.bridges.get(network_id)
        if endpoint.address is not None and network is not None and network.pool is not None:
            network.pool.release(endpoint.address)

    def _write_names(self, network_ids: Iterable[str]) -> None:
        for network_id in network_ids:
            network = self._catalogue.bridges.get(network_id)
            if network is None or network.default:
                continue
            here = ((c, a.endpoints[network_id]) for c, a in self._attached.items() if network_id in a.endpoints)
            write_records(
                self._settings.run_root,
                network.record,
                [NameRecord(c, e.details["DNSNames"] or (), (str(e.address),)) for c, e in here if e.address],
            )

    def _take_names_away(self, network_ids: Iterable[str]) -> None:
        """A full disk must not keep a container's end back: the names are written anew with the next change."""
        try:
            self._write_names(network_ids)
        except OSError as exc:
            _logger.warning("write names: %s", exc)

    # Live changes

    def connect(self, container_id: str, request: EndpointRequest) -> LinkChange:
        """Join one more network with a container that runs. ``disconnect`` undoes it when its monitor cannot."""
        record = self.find(request.network)
        with self._lock:
            attached = self._running(container_id)
            if record.id in attached.endpoints:
                raise Forbidden(f"endpoint with name {attached.name} already exists in network {record.name}")
            endpoint = self._join(record.id, request, attached)
            attached.endpoints[record.id] = endpoint
            try:
                self._write_names((record.id,))
            except BaseException:
                del attached.endpoints[record.id]
                self._release_address(record.id, endpoint)
                raise
        self._tell_endpoint("connect", container_id, endpoint)
        return link_change(attached, add=[endpoint])

    def without(self, container_id: str, reference: str) -> LinkChange:
        """What the monitor does before ``disconnect``; nothing changes yet."""
        record = self.find(reference)
        with self._lock:
            attached = self._running(container_id)
            if record.id not in attached.endpoints:
                raise NotConnected(container_id, record)
            left = Attached(attached.name, {k: e for k, e in attached.endpoints.items() if k != record.id})
            return link_change(left, remove=[attached.endpoints[record.id]])

    def disconnect(self, container_id: str, reference: str) -> None:
        """Free what the container had on a network; its monitor has taken the link down. Idempotent."""
        record = self.find(reference)
        with self._lock:
            attached = self._attached.get(container_id)
            endpoint = attached.endpoints.pop(record.id, None) if attached else None
        self._ports.withdraw(container_id, record.id)
        if endpoint is not None:
            with self._lock:
                self._release_address(record.id, endpoint)
                self._take_names_away((record.id,))
            self._tell_endpoint("disconnect", container_id, endpoint)

    def rename(self, container_id: str, old_name: str, new_name: str) -> LinkChange | None:
        """A container has another name; None when it is attached to nothing."""
        with self._lock:
            attached = self._attached.get(container_id)
            if attached is None:
                return None
            attached.name = new_name
            for endpoint in attached.endpoints.values():
                names = endpoint.details["DNSNames"] or ()
                if names:
                    endpoint.details["DNSNames"] = [new_name if name == old_name else name for name in names]
            self._write_names(attached.endpoints)
            return link_change(attached)

    def _running(self, container_id: str) -> Attached:
        attached = self._attached.get(container_id)
        if attached is None:
            raise System(f"container {container_id} has no network of its own")
        return attached

    # The engine's life

    def reconcile(self) -> bool:
        """Repair the firewall table if somebody changed or flushed it; True when it had to be."""
        with self._lock:
            if not self._up() or self._firewall.intact():
                return False
        self._firewall.restore()
        _logger.warning("nftables table %s was changed or flushed: restored", self._settings.firewall_table)
        return True

    def stop_if_unused(self) -> None:
        """With no container attached remove bridges and table, and restore ip_forward: nothing stays behind."""
        with self._lock:
            if any(e.address is not None for a in self._attached.values() for e in a.endpoints.values()):
                return
            up = [network for network in self._catalogue.bridges.values() if network.up or network.adopt()]
            if up:
                self._firewall.remove()
            for network in up:
                network.remove_bridge()
            self._forwarding.restore()

    def close(self) -> None:
        """Close what this process holds; networks and rules stay for the containers that live."""
        self._firewall.close()

    @property
    def gateway(self) -> str:
        """The default bridge's address on the host; empty while there is no bridge."""
        pool = self._catalogue.default.pool
        return str(pool.gateway) if pool else ""

    def _up(self) -> list[BridgeNetwork]:
        return [network for network in self._catalogue.bridges.values() if network.up]

    def _refresh_firewall(self, *, without: BridgeNetwork | None = None) -> None:
        rules = [network.rules() for network in self._up() if network is not without]
        if rules:
            self._firewall.change_networks(rules)
        else:
            self._firewall.remove()

    def _tell_endpoint(self, action: str, container_id: str, endpoint: Endpoint) -> None:
        record = endpoint.network
        self._tell("network", action, record.id, {"container": container_id, "name": record.name,
                                                  "type": record.driver})  # fmt: skip

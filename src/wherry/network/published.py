"""The published ports of every container: which are whose, and their rules in the firewall."""

import threading
from collections.abc import Mapping, Sequence

from wherry.network.firewall import Firewall, Published
from wherry.network.ports import PortBinding, PortUnavailable, PublishedPort, publish


class PublishedPorts:
    """Thread-safe. A port is on one network of its container."""

    def __init__(self, firewall: Firewall) -> None:
        self._firewall = firewall
        self._lock = threading.Lock()
        self._by_container: dict[str, dict[str, list[Published]]] = {}
        """Container id → network id → ports."""

    def adopt(self, container_id: str, published: Mapping[str, list[Published]]) -> None:
        """Ports of a container that runs already; their rules come with the table (:meth:`all`)."""
        with self._lock:
            self._by_container[container_id] = dict(published)

    def all(self) -> list[Published]:
        """Every port, for a table that is made anew."""
        with self._lock:
            return [
                port for by_network in self._by_container.values() for ports in by_network.values() for port in ports
            ]

    def publish(
        self, container_id: str, network_id: str, address: str, ports: Sequence[PortBinding], *, default_ip: str
    ) -> list[PublishedPort]:
        """Bind the ports on the host, then let the firewall know them. All or nothing; PortUnavailable."""
        listeners = publish(ports, default_ip=default_ip)
        published = [Published(p.protocol, p.host_ip, p.host_port, address, p.container_port) for p in listeners]
        try:
            self._firewall.publish(published)
        except BaseException as exc:
            for port in listeners:
                port.listener.close()
            if isinstance(exc, FileExistsError):
                # Its socket is free, its rule not yet: the container before us is over and not detached.
                first = published[0]
                raise PortUnavailable(
                    f"Bind for {first.host_ip}:{first.host_port} failed: port is already allocated"
                ) from exc
            raise
        with self._lock:
            self._by_container[container_id] = {network_id: published}
        return listeners

    def withdraw(self, container_id: str, network_id: str | None = None) -> None:
        """Take a container's ports away, all or those on one network. Idempotent."""
        with self._lock:
            if network_id is None:
                doomed = [*self._by_container.pop(container_id, {}).values()]
            else:
                doomed = [self._by_container.get(container_id, {}).pop(network_id, [])]
        for ports in filter(None, doomed):
            self._firewall.withdraw(ports)

"""Address pools and addresses.

Addresses in use are in memory only: each live container's monitor holds its network plan, from which a new
engine process fills the pool again (``AddressPool.reserve``), so a crash frees what nobody uses.
Lock: ``AddressPool`` has its own; it calls nothing while holding it.
"""

import ipaddress
import threading
from collections.abc import Iterable

from wherry.errors import Conflict, InvalidParameter

# Docker's default local pools (moby libnetwork/ipamutils).
_DEFAULT_POOLS = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 20)),
    *((f"172.{second}.0.0/14", 16) for second in (20, 24, 28)),
    ("192.168.0.0/16", 20),
)


class PoolExhausted(Conflict):
    """No address, or no subnet, is left; moby's wording."""


def free_subnet(in_use: Iterable[ipaddress.IPv4Network]) -> ipaddress.IPv4Network:
    """The first default subnet that overlaps neither a network nor a route of the host."""
    taken = list(in_use)
    for base, length in _DEFAULT_POOLS:
        for subnet in ipaddress.IPv4Network(base).subnets(new_prefix=length):
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
    raise PoolExhausted(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        hint="Set bip in daemon.json to a free subnet.",
    )


class AddressPool:
    """The host addresses of one subnet; the gateway is taken from the start."""

    def __init__(self, subnet: ipaddress.IPv4Network, gateway: ipaddress.IPv4Address) -> None:
        self.subnet = subnet
        self.gateway = gateway
        self._used: set[int] = {int(gateway)}
        self._next = int(subnet.network_address) + 1
        self._lock = threading.Lock()

    def allocate(self) -> ipaddress.IPv4Address:
        """The lowest free address."""
        last = int(self.subnet.broadcast_address)
        with self._lock:
            candidate = self._next
            while candidate in self._used:
                candidate += 1
            if candidate >= last:
                raise PoolExhausted(f"no available IPv4 addresses on this network's address pools: {self.subnet}")
            self._used.add(candidate)
            self._next = candidate + 1
            return ipaddress.IPv4Address(candidate)

    def reserve(self, address: ipaddress.IPv4Address) -> None:
        """Take a given address; Conflict "Address already in use" when it is taken."""
        if address not in self.subnet:
            raise InvalidParameter(f"invalid address {address}: it does not belong to any of this network's subnets")
        with self._lock:
            if int(address) in self._used:
                raise Conflict("Address already in use")
            self._used.add(int(address))

    def release(self, address: ipaddress.IPv4Address) -> None:
        """Give an address back; a free one stays free."""
        with self._lock:
            if address != self.gateway:
                self._used.discard(int(address))
                self._next = min(self._next, int(address))

    def __len__(self) -> int:
        with self._lock:
            return len(self._used) - 1

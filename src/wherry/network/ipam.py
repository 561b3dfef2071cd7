"""Address pools and addresses.

Addresses in use are in memory only: each live container's monitor holds its network plan, from which a new
engine process fills the pool again (``AddressPool.reserve``), so a crash frees what nobody uses.
Lock: ``AddressPool`` has its own; it calls nothing while holding it.
"""

import ipaddress
import threading
from collections.abc import Iterable, Sequence

from wherry.errors import Conflict, Forbidden, InvalidParameter

# Docker's default local pools (moby libnetwork/ipamutils).
DEFAULT_POOLS = (
    *((f"172.{second}.0.0/16", 16) for second in range(17, 20)),
    *((f"172.{second}.0.0/14", 16) for second in (20, 24, 28)),
    ("192.168.0.0/16", 20),
)


class PoolExhausted(Conflict):
    """No address, or no subnet, is left; moby's wording."""


class AddressInUse(Forbidden):
    """A static address that somebody has; moby's wording."""

    def __init__(self) -> None:
        super().__init__("Address already in use")


def free_subnet(
    in_use: Iterable[ipaddress.IPv4Network], pools: Sequence[tuple[str, int]] = DEFAULT_POOLS
) -> ipaddress.IPv4Network:
    """The first subnet of ``pools`` (base, prefix length) that overlaps neither a network nor a route of the host."""
    taken = list(in_use)
    for base, length in pools:
        for subnet in ipaddress.IPv4Network(base).subnets(new_prefix=length):
            if not any(subnet.overlaps(other) for other in taken):
                return subnet
    raise PoolExhausted(
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        hint="Set bip or default-address-pools in daemon.json to free subnets.",
    )


class AddressPool:
    """The host addresses of one subnet; the gateway and the ``reserved`` ones are taken from the start.
    Addresses that nobody asks for by name come from ``ip_range``."""

    def __init__(
        self,
        subnet: ipaddress.IPv4Network,
        gateway: ipaddress.IPv4Address,
        *,
        ip_range: ipaddress.IPv4Network | None = None,
        reserved: Iterable[ipaddress.IPv4Address] = (),
    ) -> None:
        self.subnet = subnet
        self.gateway = gateway
        chosen = ip_range or subnet
        self._first = max(int(chosen.network_address), int(subnet.network_address) + 1)
        self._last = min(int(chosen.broadcast_address), int(subnet.broadcast_address) - 1)
        own = (subnet.network_address, subnet.broadcast_address, gateway)
        self._fixed = frozenset(map(int, (*own, *reserved)))
        self._used: set[int] = set(self._fixed)
        self._next = self._first
        self._lock = threading.Lock()

    def take(self, wanted: str) -> ipaddress.IPv4Address:
        """The address that is asked for, or any free one for "". InvalidParameter, AddressInUse, PoolExhausted."""
        if not wanted:
            return self.allocate()
        try:
            address = ipaddress.IPv4Address(wanted)
        except ValueError as exc:
            raise InvalidParameter(f"invalid IPv4 address: {wanted}") from exc
        self.reserve(address)
        return address

    def allocate(self) -> ipaddress.IPv4Address:
        """The lowest free address."""
        with self._lock:
            candidate = self._next
            while candidate in self._used:
                candidate += 1
            if candidate > self._last:
                raise PoolExhausted(f"no available IPv4 addresses on this network's address pools: {self.subnet}")
            self._used.add(candidate)
            self._next = candidate + 1
            return ipaddress.IPv4Address(candidate)

    def reserve(self, address: ipaddress.IPv4Address) -> None:
        """Take a given address; AddressInUse when it is taken."""
        if address not in self.subnet:
            raise InvalidParameter(f"invalid address {address}: it does not belong to any of this network's subnets")
        with self._lock:
            if int(address) in self._used:
                raise AddressInUse
            self._used.add(int(address))

    def release(self, address: ipaddress.IPv4Address) -> None:
        """Give an address back; a free one stays free."""
        with self._lock:
            if int(address) not in self._fixed:
                self._used.discard(int(address))
                self._next = max(min(self._next, int(address)), self._first)

    def __len__(self) -> int:
        with self._lock:
            return len(self._used) - len(self._fixed)

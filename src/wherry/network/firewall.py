"""The engine's one nftables table as data, and the two ways it changes.

``Firewall.rebuild`` replaces the whole table in one transaction (start, networks come and go, drift);
``publish`` and ``withdraw`` add and remove elements of the two maps: one transaction a container.

    raw        prerouting -300   a container's address is reached from its own bridge only (S85); a loopback
                                 destination from lo only (S84)
    published  prerouting -100   host address, protocol, port → container address and port
    published  output -100       the same for this host's own processes; loopback is the monitor's proxy
    forward    forward 0         into a bridge: the same bridge, answers, published ports; else dropped (S86: so
                                 one network never reaches another); an internal bridge forwards nothing
    masquerade postrouting 100   out of a bridge's subnet through another interface

Threads: ``Firewall`` has a lock; the netlink socket is used under it.
"""

import ipaddress
import socket
import struct
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from wherry.linux import nft_expressions as nft
from wherry.linux.nftables import DataType, Element, Hook, Nftables, SetType, Transaction

_IPV4 = bytes([socket.AF_INET])  # NFPROTO_IPV4 == AF_INET
_PROTOCOL_NUMBERS = {"tcp": 6, "udp": 17, "sctp": 132}
_SOURCE_OFFSET, _DESTINATION_OFFSET, _PORT_OFFSET = 12, 16, 2
_RAW, _DNAT, _FILTER, _SNAT = -300, -100, 0, 100
_LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")

_TARGET = SetType((DataType.IPV4_ADDR, DataType.INET_SERVICE))


@dataclass(frozen=True, slots=True)
class BridgeRules:
    """What the table has to know of one bridge network."""

    bridge: str
    subnet: ipaddress.IPv4Network
    masquerade: bool
    inter_container: bool
    internal: bool = False


@dataclass(frozen=True, slots=True)
class Published:
    """One published port; ``host_ip`` 0.0.0.0 is every address of the host."""

    protocol: str
    host_ip: str
    host_port: int
    address: str
    port: int


class Firewall:
    """Keeps one table of family inet equal to what this object was told."""

    def __init__(self, table: str) -> None:
        self._table = table
        self._lock = threading.Lock()
        self._networks: tuple[BridgeRules, ...] = ()
        self._published: set[Published] = set()
        self._socket: Nftables | None = None

    def rebuild(self, networks: Sequence[BridgeRules], published: Iterable[Published]) -> None:
        """Replace the table, all at once."""
        with self._lock:
            self._networks, self._published = tuple(networks), {p for p in published if _in_kernel(p)}
            self._commit(self._whole())

    def change_networks(self, networks: Sequence[BridgeRules]) -> None:
        """Replace the table for other networks, all at once; published ports stay."""
        with self._lock:
            self._networks = tuple(networks)
            self._commit(self._whole())

    def publish(self, ports: Iterable[Published]) -> None:
        """Add a container's ports."""
        with self._lock:
            added = [port for port in ports if _in_kernel(port) and port not in self._published]
            transaction = Transaction(self._table)
            for name, elements in _by_map(added).items():
                transaction.add_elements(name, elements)
            self._commit(transaction)
            self._published.update(added)

    def withdraw(self, ports: Iterable[Published]) -> None:
        """Remove a container's ports. If somebody flushed the table, it is made again without them."""
        with self._lock:
            gone = [port for port in ports if port in self._published]
            self._published.difference_update(gone)
            transaction = Transaction(self._table)
            for name, elements in _by_map(gone).items():
                transaction.delete_elements(name, elements)
            try:
                self._commit(transaction)
            except FileNotFoundError:
                self._commit(self._whole())

    def intact(self) -> bool:
        """Whether the table is there and publishes what it should."""
        with self._lock:
            kernel = self._kernel()
            if not kernel.has_table(self._table):
                return not self._networks
            wanted = _by_map(self._published)
            return all(
                {(e.key, e.data) for e in kernel.elements(self._table, name)}
                == {(e.key, e.data) for e in wanted.get(name, [])}
                for name in ("published_any", "published_on")
            )

    def restore(self) -> None:
        """Make the table again as it should be (after ``intact`` said no)."""
        with self._lock:
            self._commit(self._whole())

    def remove(self) -> None:
        """Delete the table."""
        with self._lock:
            self._networks, self._published = (), set()
            transaction = Transaction(self._table)
            transaction.create_table()
            transaction.delete_table()
            self._commit(transaction)

    def close(self) -> None:
        """Close the netlink socket; the table stays."""
        with self._lock:
            if self._socket is not None:
                self._socket.close()
                self._socket = None

    def _kernel(self) -> Nftables:
        if self._socket is None:
            self._socket = Nftables()
        return self._socket

    def _commit(self, transaction: Transaction) -> None:
        self._kernel().commit(transaction)

    def _whole(self) -> Transaction:
        transaction = Transaction(self._table)
        transaction.create_table()
        transaction.delete_table()  # creating first makes the deletion succeed on a fresh host
        transaction.create_table()
        transaction.create_set("bridges", SetType((DataType.IFNAME,)))
        transaction.create_set("published_any", SetType((DataType.INET_PROTO, DataType.INET_SERVICE)), _TARGET)
        transaction.create_set(
            "published_on",
            SetType((DataType.IPV4_ADDR, DataType.INET_PROTO, DataType.INET_SERVICE)),
            _TARGET,
        )
        transaction.create_chain("raw", "filter", Hook.PREROUTING, _RAW)
        transaction.create_chain("prerouting", "nat", Hook.PREROUTING, _DNAT)
        transaction.create_chain("output", "nat", Hook.OUTPUT, _DNAT)
        transaction.create_chain("forward", "filter", Hook.FORWARD, _FILTER)
        transaction.create_chain("postrouting", "nat", Hook.POSTROUTING, _SNAT)
        transaction.add_rule(
            "raw",
            [*_interface(nft.META_IIFNAME, nft.NOT_EQUAL, "lo"), *_address(_DESTINATION_OFFSET, _LOOPBACK),
             nft.verdict(nft.DROP)],
        )  # fmt: skip
        # From a bridge the proxy answers: the kernel's rewriting would let replies bypass it.
        not_from_bridge = [nft.meta(nft.META_IIFNAME), nft.in_set("bridges", invert=True)]
        for chain, condition in (("prerouting", not_from_bridge), ("output", [])):
            local = [*condition, *_address(_DESTINATION_OFFSET, _LOOPBACK, negate=True), *_to_this_host()]
            transaction.add_rule(chain, [*local, *_map_by_address("published_on"), nft.dnat_ipv4()])
            transaction.add_rule(chain, [*local, *_map_by_port("published_any"), nft.dnat_ipv4()])
        transaction.add_elements("bridges", [Element(nft.interface_key(n.bridge)) for n in self._networks])
        for network in self._networks:
            _add_network(transaction, network)
        for name, elements in _by_map(self._published).items():
            transaction.add_elements(name, elements)
        return transaction


def _add_network(transaction: Transaction, network: BridgeRules) -> None:
    into = _interface(nft.META_OIFNAME, nft.EQUAL, network.bridge)
    outside = _interface(nft.META_IIFNAME, nft.NOT_EQUAL, network.bridge)
    transaction.add_rule("raw", [*outside, *_address(_DESTINATION_OFFSET, network.subnet), nft.verdict(nft.DROP)])
    within = [*into, *_interface(nft.META_IIFNAME, nft.EQUAL, network.bridge)]
    if network.inter_container:
        transaction.add_rule("forward", [*within, nft.verdict(nft.ACCEPT)])
    if network.internal:
        transaction.add_rule(
            "forward", [*_interface(nft.META_IIFNAME, nft.EQUAL, network.bridge), nft.verdict(nft.DROP)]
        )
        transaction.add_rule("forward", [*into, nft.verdict(nft.DROP)])
        return
    for key, bits in (
        (nft.CT_STATE, nft.CT_ESTABLISHED_RELATED),
        (nft.CT_STATUS, nft.CT_DNAT),
    ):
        transaction.add_rule("forward", [*into, *_conntrack_any(key, bits), nft.verdict(nft.ACCEPT)])
    transaction.add_rule("forward", [*into, nft.verdict(nft.DROP)])
    if network.masquerade:
        transaction.add_rule(
            "postrouting",
            [*_address(_SOURCE_OFFSET, network.subnet),
             *_interface(nft.META_OIFNAME, nft.NOT_EQUAL, network.bridge), nft.masquerade()],
        )  # fmt: skip


def _interface(key: int, operator: int, name: str) -> list[bytes]:
    return [nft.meta(key), nft.compare(operator, nft.interface_key(name))]


def _address(offset: int, network: ipaddress.IPv4Network, *, negate: bool = False) -> list[bytes]:
    return [
        nft.meta(nft.META_NFPROTO),
        nft.compare(nft.EQUAL, _IPV4),
        nft.payload(nft.NETWORK_HEADER, offset, 4),
        nft.mask(network.netmask.packed),
        nft.compare(nft.NOT_EQUAL if negate else nft.EQUAL, network.network_address.packed),
    ]


def _to_this_host() -> list[bytes]:
    return [
        nft.fib_destination_type(),
        nft.compare(nft.EQUAL, struct.pack("=I", nft.ADDRESS_LOCAL)),
    ]


def _conntrack_any(key: int, bits: int) -> list[bytes]:
    return [
        nft.conntrack(key),
        nft.mask(struct.pack("=I", bits)),
        nft.compare(nft.NOT_EQUAL, bytes(4)),
    ]


def _map_by_port(name: str) -> list[bytes]:
    return [
        nft.meta(nft.META_L4PROTO, nft.REGISTER),
        nft.payload(nft.TRANSPORT_HEADER, _PORT_OFFSET, 2, nft.REGISTER + 1),
        nft.map_lookup(name),
    ]


def _map_by_address(name: str) -> list[bytes]:
    return [
        nft.payload(nft.NETWORK_HEADER, _DESTINATION_OFFSET, 4, nft.REGISTER),
        nft.meta(nft.META_L4PROTO, nft.REGISTER + 1),
        nft.payload(nft.TRANSPORT_HEADER, _PORT_OFFSET, 2, nft.REGISTER + 2),
        nft.map_lookup(name),
    ]


def _in_kernel(port: Published) -> bool:
    # Loopback and IPv6 publishing is the proxy's alone.
    return ":" not in port.host_ip and ipaddress.IPv4Address(port.host_ip) not in _LOOPBACK


def _by_map(ports: Iterable[Published]) -> dict[str, list[Element]]:
    found: dict[str, list[Element]] = {}
    for port in ports:
        service = bytes([_PROTOCOL_NUMBERS[port.protocol], 0, 0, 0]) + struct.pack(">Hxx", port.host_port)
        target = ipaddress.IPv4Address(port.address).packed + struct.pack(">Hxx", port.port)
        if port.host_ip == "0.0.0.0":
            found.setdefault("published_any", []).append(Element(service, target))
        else:
            key = ipaddress.IPv4Address(port.host_ip).packed + service
            found.setdefault("published_on", []).append(Element(key, target))
    return found

"""Links, addresses and routes through rtnetlink(7), several changes in one batch.

Out of scope: rules, neighbours, traffic control. A ``Batch`` collects changes; ``Rtnetlink.apply`` sends them
in one datagram. Indexes of links that the same batch creates are chosen by the caller where it needs them.
"""

from __future__ import annotations

import ipaddress
import socket
import struct
import time

from wherry.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkSocket,
    attribute,
    attribute_string,
    attribute_u8,
    attribute_u32,
    parse_attributes,
)

_NETLINK_ROUTE = 0
_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 17, 18, 19
_RTM_NEWADDR, _RTM_GETADDR = 20, 22
_RTM_NEWROUTE, _RTM_DELROUTE, _RTM_GETROUTE = 24, 25, 26

_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER, _IFLA_LINKINFO = 1, 3, 4, 10, 18
_IFLA_OPERSTATE, _OPERSTATE_UP = 16, b"\x06"
_IFLA_IFALIAS, _IFLA_AF_SPEC, _IFLA_NET_NS_FD = 20, 26, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _IFLA_INFO_SLAVE_KIND, _IFLA_INFO_SLAVE_DATA = 1, 2, 4, 5
_IFLA_BRPORT_ISOLATED = 33
_VETH_INFO_PEER = 1
_IFLA_INET6_ADDR_GEN_MODE = 8
_ADDR_GEN_MODE_NONE = 1
_IFF_UP = 1

_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST = 1, 2, 4
_IFA_F_NODAD = 0x02
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_TABLE = 1, 4, 5, 6, 15
_RT_TABLE_MAIN, _RTPROT_STATIC, _RT_SCOPE_UNIVERSE, _RT_SCOPE_LINK, _RTN_UNICAST = 254, 4, 0, 253, 1
_RT_SCOPE_NOWHERE = 255

_IFINFO = struct.Struct("=BxHiII")
_IFADDR = struct.Struct("=BBBBI")
_RTMSG = struct.Struct("=BBBBBBBBI")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Link:
    """One network interface as RTM_GETLINK shows it; ``alias`` and ``kind`` are empty where unset.

    ``up`` is what the administrator wants, ``operational`` that packets pass: the kernel gets there a moment
    later in a work queue, and what is sent before is lost (an ARP request is repeated after a whole second).
    """

    __slots__ = ("alias", "index", "kind", "mac", "master", "mtu", "name", "operational", "up")

    def __init__(
        self,
        *,
        index: int,
        name: str,
        up: bool,
        operational: bool,
        mtu: int,
        mac: str,
        master: int,
        kind: str,
        alias: str,
    ) -> None:
        self.index = index
        self.name = name
        self.up = up
        self.operational = operational
        self.mtu = mtu
        self.mac = mac
        self.master = master
        self.kind = kind
        self.alias = alias


class Route:
    """One route of the main table; ``destination`` None is the default route, ``index`` its link's."""

    __slots__ = ("destination", "gateway", "index")

    def __init__(self, *, destination: Network | None, gateway: Address | None, index: int) -> None:
        self.destination = destination
        self.gateway = gateway
        self.index = index


def _mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


class Batch:
    """Changes in order. Every method appends one message; nothing happens before ``Rtnetlink.apply``."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, int, int, bytes]] = []

    def add_bridge(self, name: str, *, mtu: int, mac: str, alias: str = "") -> None:
        """A bridge without spanning tree, down."""
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        body += attribute_string(_IFLA_IFNAME, name) + attribute_u32(_IFLA_MTU, mtu)
        body += attribute(_IFLA_ADDRESS, _mac_bytes(mac))
        body += attribute(_IFLA_LINKINFO, attribute_string(_IFLA_INFO_KIND, "bridge"))
        self.messages.append((f"create bridge {name}", _RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body))
        if alias:
            self.set_alias(name, alias)

    def add_veth(
        self,
        name: str,
        peer_name: str,
        *,
        peer_namespace_fd: int,
        peer_mac: str,
        mtu: int,
        master_index: int = 0,
    ) -> None:
        """A veth pair, down, whose peer is born in another namespace; with ``master_index`` the near end is a
        port of that bridge."""
        peer = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        peer += attribute_string(_IFLA_IFNAME, peer_name) + attribute_u32(_IFLA_MTU, mtu)
        peer += attribute(_IFLA_ADDRESS, _mac_bytes(peer_mac)) + attribute_u32(_IFLA_NET_NS_FD, peer_namespace_fd)
        data = attribute(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer))
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        body += attribute_string(_IFLA_IFNAME, name) + attribute_u32(_IFLA_MTU, mtu)
        body += attribute(_IFLA_LINKINFO, attribute_string(_IFLA_INFO_KIND, "veth") + data)
        if master_index:
            body += attribute_u32(_IFLA_MASTER, master_index)
        self.messages.append((f"create veth {name}", _RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body))

    def set_up(self, name: str) -> None:
        """Bring a link up."""
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, _IFF_UP, _IFF_UP) + attribute_string(_IFLA_IFNAME, name)
        self.messages.append((f"set {name} up", _RTM_NEWLINK, 0, body))

    def set_ipv4_only(self, name: str) -> None:
        """No IPv6 link-local address, hence no duplicate address detection, when the link comes up (S88).

        A message of its own before ``set_up``: the kernel takes this setting neither at creation nor ahead
        of the flags of the same message.
        """
        inet6 = attribute(socket.AF_INET6, attribute_u8(_IFLA_INET6_ADDR_GEN_MODE, _ADDR_GEN_MODE_NONE))
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute_string(_IFLA_IFNAME, name)
        body += attribute(_IFLA_AF_SPEC, inet6)
        self.messages.append((f"set {name} IPv4 only", _RTM_SETLINK, 0, body))

    def set_isolated(self, name: str) -> None:
        """A bridge port that exchanges frames with no other isolated port, only with the bridge itself."""
        data = attribute(_IFLA_INFO_SLAVE_DATA, attribute_u8(_IFLA_BRPORT_ISOLATED, 1))
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute_string(_IFLA_IFNAME, name)
        body += attribute(_IFLA_LINKINFO, attribute_string(_IFLA_INFO_SLAVE_KIND, "bridge") + data)
        self.messages.append((f"isolate {name}", _RTM_NEWLINK, 0, body))

    def set_alias(self, name: str, alias: str) -> None:
        """The free text that ``ip link`` shows; marks which engine a link belongs to."""
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute_string(_IFLA_IFNAME, name)
        body += attribute(_IFLA_IFALIAS, alias.encode())
        self.messages.append((f"set alias of {name}", _RTM_SETLINK, 0, body))

    def delete_link(self, name: str) -> None:
        """Remove a link (a veth takes its peer along)."""
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute_string(_IFLA_IFNAME, name)
        self.messages.append((f"delete link {name}", _RTM_DELLINK, 0, body))

    def add_address(self, index: int, address: str) -> None:
        """``address`` is ``172.17.0.2/16`` or ``fd00::2/64`` on the link with this index."""
        interface: Interface = ipaddress.ip_interface(address)
        packed = interface.ip.packed
        family = socket.AF_INET if interface.version == 4 else socket.AF_INET6
        flags = _IFA_F_NODAD if interface.version == 6 else 0
        body = _IFADDR.pack(family, interface.network.prefixlen, flags, _RT_SCOPE_UNIVERSE, index)
        body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
        if interface.version == 4:
            body += attribute(_IFA_BROADCAST, interface.network.broadcast_address.packed)
        self.messages.append((f"add address {address}", _RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, body))

    def add_route(self, destination: str, *, gateway: str = "", index: int = 0) -> None:
        """``destination`` is a prefix (``0.0.0.0/0`` for the default route), via a gateway, a link, or both."""
        network = ipaddress.ip_network(destination)
        family = socket.AF_INET if network.version == 4 else socket.AF_INET6
        scope = _RT_SCOPE_UNIVERSE if gateway or network.version == 6 else _RT_SCOPE_LINK
        body = _RTMSG.pack(family, network.prefixlen, 0, 0, _RT_TABLE_MAIN, _RTPROT_STATIC, scope, _RTN_UNICAST, 0)
        if network.prefixlen:
            body += attribute(_RTA_DST, network.network_address.packed)
        if gateway:
            body += attribute(_RTA_GATEWAY, ipaddress.ip_address(gateway).packed)
        if index:
            body += attribute_u32(_RTA_OIF, index)
        self.messages.append((f"add route {destination}", _RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body))

    def delete_default_route(self) -> None:
        """Remove the IPv4 default route; ESRCH when there is none."""
        scope, table = _RT_SCOPE_NOWHERE, _RT_TABLE_MAIN
        body = _RTMSG.pack(socket.AF_INET, 0, 0, 0, table, 0, scope, 0, 0)
        self.messages.append(("delete default route", _RTM_DELROUTE, 0, body))


class Rtnetlink(NetlinkSocket):
    """An rtnetlink socket in the network namespace of the calling thread."""

    def __init__(self) -> None:
        super().__init__(_NETLINK_ROUTE)

    def apply(self, batch: Batch) -> None:
        """Carry out a batch. OSError names the first change that the kernel refused."""
        if batch.messages:
            self.execute(batch.messages)

    def link(self, name: str) -> Link:
        """The link of this name; OSError ENODEV when there is none."""
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0) + attribute_string(_IFLA_IFNAME, name)
        return _link(self.get(f"find link {name}", _RTM_GETLINK, body))

    def wait_operational(self, *names: str, timeout_seconds: float = 1.0) -> bool:
        """Whether packets pass through all these links, waiting for it; False after the time-out."""
        deadline = time.monotonic() + timeout_seconds
        while not all(self.link(name).operational for name in names):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.0005)
        return True

    def links(self) -> list[Link]:
        """Every link of the namespace."""
        body = _IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
        return [_link(reply) for _, reply in self.dump("list links", _RTM_GETLINK, body)]

    def addresses(self) -> list[tuple[int, Interface]]:
        """Every address as ``(link index, address/prefix)``."""
        found: list[tuple[int, Interface]] = []
        for _, reply in self.dump("list addresses", _RTM_GETADDR, _IFADDR.pack(0, 0, 0, 0, 0)):
            _family, prefix, _flags, _scope, index = _IFADDR.unpack_from(reply)
            attributes = parse_attributes(reply, _IFADDR.size)
            packed = attributes.get(_IFA_LOCAL) or attributes.get(_IFA_ADDRESS)
            if packed is not None:
                found.append((index, ipaddress.ip_interface((packed, prefix))))
        return found

    def routes(self) -> list[Route]:
        """The unicast routes of the main table, both families."""
        found: list[Route] = []
        for _, reply in self.dump("list routes", _RTM_GETROUTE, _RTMSG.pack(0, 0, 0, 0, 0, 0, 0, 0, 0)):
            _family, prefix, _source, _tos, table, _protocol, _scope, kind, _flags = _RTMSG.unpack_from(reply)
            attributes = parse_attributes(reply, _RTMSG.size)
            if table != _RT_TABLE_MAIN or kind != _RTN_UNICAST:
                continue
            destination = attributes.get(_RTA_DST)
            gateway = attributes.get(_RTA_GATEWAY)
            found.append(
                Route(
                    destination=ipaddress.ip_network((destination, prefix)) if destination else None,
                    gateway=ipaddress.ip_address(gateway) if gateway else None,
                    index=int.from_bytes(attributes.get(_RTA_OIF, b"\0" * 4), "little"),
                )
            )
        return found


def _link(reply: bytes) -> Link:
    _family, _kind, index, flags, _change = _IFINFO.unpack_from(reply)
    attributes = parse_attributes(reply, _IFINFO.size)
    info = parse_attributes(attributes.get(_IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=_text(attributes.get(_IFLA_IFNAME)),
        up=bool(flags & _IFF_UP),
        operational=attributes.get(_IFLA_OPERSTATE) == _OPERSTATE_UP,
        mtu=int.from_bytes(attributes.get(_IFLA_MTU, b""), "little"),
        mac=attributes.get(_IFLA_ADDRESS, b"").hex(":"),
        master=int.from_bytes(attributes.get(_IFLA_MASTER, b""), "little"),
        kind=_text(info.get(_IFLA_INFO_KIND)),
        alias=_text(attributes.get(_IFLA_IFALIAS)),
    )


def _text(value: bytes | None) -> str:
    return value.rstrip(b"\0").decode(errors="replace") if value else ""

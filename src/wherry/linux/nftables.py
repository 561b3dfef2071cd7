"""nf_tables over netlink: tables, chains, sets, maps, rules and elements in one atomic transaction.

Own encoding and not libnftables: its JSON of Debian 12 (1.0.6) cannot express a map to address and port,
text would have to be pasted together (S90), and nothing need be installed. ``nft list ruleset`` prints what
this module wrote. Source: linux/netfilter/nf_tables.h, net/netfilter/nf_tables_api.c.
"""

import errno
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from wherry.linux.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkSocket,
    attribute,
    attribute_string,
    parse_attributes,
)
from wherry.linux.nft_expressions import big_u32

_NETLINK_NETFILTER = 12
_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _GETTABLE, _DELTABLE = 0, 1, 2
_NEWCHAIN, _NEWRULE, _NEWSET = 3, 6, 9
_NEWSETELEM, _GETSETELEM, _DELSETELEM = 12, 13, 14
_NLM_F_APPEND = 0x800
_FAMILY_INET = 1
_SET_INTERVAL, _SET_MAP = 0x4, 0x8
_ELEMENT_INTERVAL_END = 0x1
_CONCATENATION_BITS = 6
_HOST_ORDER_KEY = struct.pack("=BBI", 0, 4, 1)  # user data without which nft prints interface names as ""


class Hook(IntEnum):
    """Where in a packet's way a base chain is called (NF_INET_*)."""

    PREROUTING = 0
    INPUT = 1
    FORWARD = 2
    OUTPUT = 3
    POSTROUTING = 4


class DataType(IntEnum):
    """nft's numbers for key and data types; only ``nft list`` looks at them."""

    IPV4_ADDR = 7
    INET_PROTO = 12
    INET_SERVICE = 13
    IFNAME = 41


_LENGTHS = {DataType.IPV4_ADDR: 4, DataType.INET_PROTO: 1, DataType.INET_SERVICE: 2, DataType.IFNAME: 16}


@dataclass(frozen=True, slots=True)
class SetType:
    """The key (or data) of a set: one type, or several concatenated, each padded to 4 bytes."""

    parts: tuple[DataType, ...]

    @property
    def number(self) -> int:
        """nft's type number: 6 bits a part."""
        number = 0
        for part in self.parts:
            number = number << _CONCATENATION_BITS | part
        return number

    @property
    def length(self) -> int:
        """Bytes of a value."""
        if len(self.parts) == 1:
            return _LENGTHS[self.parts[0]]
        return sum((_LENGTHS[part] + 3) & ~3 for part in self.parts)


@dataclass(frozen=True, slots=True)
class Element:
    """A member of a set: ``key`` alone, ``key`` and ``data`` of a map, or ``key``..``end`` (exclusive)."""

    key: bytes
    data: bytes = b""
    end: bytes = b""


class Transaction:
    """Changes to one table of family inet; all of them happen, or none (``Nftables.commit``)."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.messages: list[tuple[str, int, int, bytes]] = []

    def _add(self, what: str, kind: int, flags: int, body: bytes) -> None:
        self.messages.append((what, kind, flags, body))

    def create_table(self) -> None:
        """Make the table; nothing happens when it is there."""
        self._add(f"create table {self.table}", _NEWTABLE, NLM_F_CREATE, attribute_string(1, self.table))

    def delete_table(self) -> None:
        """Remove the table with all that is in it; ENOENT when there is none."""
        self._add(f"delete table {self.table}", _DELTABLE, 0, attribute_string(1, self.table))

    def create_chain(self, name: str, kind: str = "", hook: Hook = Hook.PREROUTING, priority: int = 0) -> None:
        """A base chain of type filter or nat with policy accept, or with no ``kind`` a plain chain."""
        body = attribute_string(1, self.table) + attribute_string(3, name)
        if kind:
            body += attribute(4, attribute(1, big_u32(hook)) + attribute(2, big_u32(priority)))
            body += attribute(5, big_u32(1)) + attribute_string(7, kind)
        self._add(f"create chain {name}", _NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, body)

    def create_set(self, name: str, key: SetType, data: SetType | None = None, *, interval: bool = False) -> None:
        """A set, or with ``data`` a map. ``interval``: members are ranges."""
        flags = (_SET_MAP if data else 0) | (_SET_INTERVAL if interval else 0)
        body = attribute_string(1, self.table) + attribute_string(2, name) + attribute(3, big_u32(flags))
        body += attribute(4, big_u32(key.number)) + attribute(5, big_u32(key.length))
        if data is not None:
            body += attribute(6, big_u32(data.number)) + attribute(7, big_u32(data.length))
        body += attribute(10, big_u32(len(self.messages) + 1))  # an id, unique in the transaction
        if key.parts == (DataType.IFNAME,):
            body += attribute(13, _HOST_ORDER_KEY)
        self._add(f"create set {name}", _NEWSET, NLM_F_CREATE | NLM_F_EXCL, body)

    def add_rule(self, chain: str, expressions: Sequence[bytes]) -> None:
        """Append a rule to a chain."""
        body = attribute_string(1, self.table) + attribute_string(2, chain)
        body += attribute(4, b"".join(expressions))
        self._add(f"add rule to {chain}", _NEWRULE, NLM_F_CREATE | _NLM_F_APPEND, body)

    def add_elements(self, set_name: str, elements: Sequence[Element]) -> None:
        """Put members into a set; a member that is there with other data makes the transaction fail (EEXIST)."""
        if elements:
            body = self._elements(set_name, elements)
            self._add(f"add elements to {set_name}", _NEWSETELEM, NLM_F_CREATE, body)

    def delete_elements(self, set_name: str, elements: Sequence[Element]) -> None:
        """Take members out of a set; ENOENT when one is not there."""
        if elements:
            body = self._elements(set_name, elements)
            self._add(f"delete elements of {set_name}", _DELSETELEM, 0, body)

    def _elements(self, set_name: str, elements: Sequence[Element]) -> bytes:
        encoded: list[bytes] = []
        for element in elements:
            body = attribute(1, attribute(1, element.key))
            if element.data:
                body += attribute(2, attribute(1, element.data))
            encoded.append(attribute(1, body))
            if element.end:
                end = attribute(1, attribute(1, element.end)) + attribute(3, big_u32(_ELEMENT_INTERVAL_END))
                encoded.append(attribute(1, end))
        return attribute_string(1, self.table) + attribute_string(2, set_name) + attribute(3, b"".join(encoded))


def _generic_header(resource: int = 0, family: int = _FAMILY_INET) -> bytes:
    return struct.pack(">BBH", family, 0, resource)


class Nftables(NetlinkSocket):
    """An nf_tables socket in the network namespace of the calling thread."""

    def __init__(self) -> None:
        super().__init__(_NETLINK_NETFILTER)

    def commit(self, transaction: Transaction) -> None:
        """Carry out a transaction. OSError names the first change that the kernel refused; then nothing changed."""
        if not transaction.messages:
            return
        header = _generic_header()
        messages = [
            (what, _SUBSYSTEM | kind, flags, header + body) for what, kind, flags, body in transaction.messages
        ]
        self.execute_transaction(
            (_BATCH_BEGIN, _generic_header(_SUBSYSTEM >> 8, socket.AF_UNSPEC)),
            messages,
            (_BATCH_END, _generic_header(_SUBSYSTEM >> 8, socket.AF_UNSPEC)),
        )

    def has_table(self, name: str) -> bool:
        """Whether the table is there."""
        body = _generic_header() + attribute_string(1, name)
        try:
            self.get(f"find table {name}", _SUBSYSTEM | _GETTABLE, body)
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                return False
            raise
        return True

    def elements(self, table: str, set_name: str) -> list[Element]:
        """The members of a set (not of an interval set)."""
        body = _generic_header() + attribute_string(1, table) + attribute_string(2, set_name)
        found: list[Element] = []
        for _, reply in self.dump(f"list set {set_name}", _SUBSYSTEM | _GETSETELEM, body):
            listed = parse_attributes(reply, 4).get(3, b"")
            offset = 0
            while offset + 4 <= len(listed):
                (length,) = struct.unpack_from("=H", listed, offset)
                member = parse_attributes(listed[offset + 4 : offset + length])
                key = parse_attributes(member.get(1, b"")).get(1, b"")
                data = parse_attributes(member.get(2, b"")).get(1, b"")
                found.append(Element(key, data))
                offset += (length + 3) & ~3
        return found

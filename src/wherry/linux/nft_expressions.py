"""The nf_tables expressions that our rules are made of (linux/netfilter/nf_tables.h).

Each function gives one encoded expression. Registers are the 4-byte ones: ``REGISTER`` and the following;
a value longer than 4 bytes fills the next ones too. Keys that are compared in network order are said so.
"""

import struct

from wherry.linux.netlink import attribute, attribute_string

REGISTER = 8  # NFT_REG32_00

EQUAL, NOT_EQUAL = 0, 1

META_IIFNAME, META_OIFNAME, META_NFPROTO, META_L4PROTO = 6, 7, 15, 16
NETWORK_HEADER, TRANSPORT_HEADER = 1, 2
CT_STATE, CT_STATUS = 0, 2
CT_ESTABLISHED_RELATED = 0x02 | 0x04
CT_INVALID = 0x01
CT_DNAT = 0x20  # IPS_DST_NAT
FIB_ADDRESS_TYPE = 3
FIB_DESTINATION = 2
ADDRESS_LOCAL = 2  # RTN_LOCAL

DROP, ACCEPT = 0, 1
JUMP, RETURN = -3, -5

_NFPROTO_IPV4 = 2
_NAT_DESTINATION = 1
_LOOKUP_INVERT = 1
_VERDICT_REGISTER = 0


def big_u32(value: int) -> bytes:
    """Netfilter attributes are in network order."""
    return struct.pack(">I", value & 0xFFFFFFFF)


def interface_key(name: str) -> bytes:
    """An interface name as sets and comparisons hold it: 16 bytes, NUL padded."""
    return name.encode().ljust(16, b"\0")


def _expression(name: str, *attributes: bytes) -> bytes:
    # NFTA_LIST_ELEM { NFTA_EXPR_NAME, NFTA_EXPR_DATA }
    return attribute(1, attribute_string(1, name) + attribute(2, b"".join(attributes)))


def _data(value: bytes) -> bytes:
    return attribute(1, value)  # NFTA_DATA_VALUE


def meta(key: int, register: int = REGISTER) -> bytes:
    """Load packet metadata: interface names (16 bytes), protocol numbers (1 byte)."""
    return _expression("meta", attribute(1, big_u32(register)), attribute(2, big_u32(key)))


def compare(operator: int, value: bytes, register: int = REGISTER) -> bytes:
    """Go on only if the register equals (or differs from) ``value``."""
    return _expression(
        "cmp", attribute(1, big_u32(register)), attribute(2, big_u32(operator)), attribute(3, _data(value))
    )


def payload(base: int, offset: int, length: int, register: int = REGISTER) -> bytes:
    """Load header bytes: ``base`` is NETWORK_HEADER or TRANSPORT_HEADER; network order."""
    return _expression(
        "payload",
        attribute(1, big_u32(register)),
        attribute(2, big_u32(base)),
        attribute(3, big_u32(offset)),
        attribute(4, big_u32(length)),
    )


def mask(bits: bytes, register: int = REGISTER) -> bytes:
    """AND the register with ``bits``."""
    return _expression(
        "bitwise",
        attribute(1, big_u32(register)),
        attribute(2, big_u32(register)),
        attribute(3, big_u32(len(bits))),
        attribute(4, _data(bits)),
        attribute(5, _data(bytes(len(bits)))),
    )


def in_set(name: str, register: int = REGISTER, *, invert: bool = False) -> bytes:
    """Go on only if the register's value is (not) in the set."""
    flags = attribute(5, big_u32(_LOOKUP_INVERT)) if invert else b""
    return _expression("lookup", attribute_string(1, name), attribute(2, big_u32(register)), flags)


def map_lookup(name: str, register: int = REGISTER) -> bytes:
    """Replace the register by the map's value for it; go on only if there is one."""
    return _expression(
        "lookup", attribute_string(1, name), attribute(2, big_u32(register)), attribute(3, big_u32(register))
    )


def fib_destination_type(register: int = REGISTER) -> bytes:
    """Load the address type of the packet's destination (host order u32): ADDRESS_LOCAL is this host."""
    return _expression(
        "fib",
        attribute(1, big_u32(register)),
        attribute(2, big_u32(FIB_ADDRESS_TYPE)),
        attribute(3, big_u32(FIB_DESTINATION)),
    )


def conntrack(key: int, register: int = REGISTER) -> bytes:
    """Load connection state or status bits (host order u32)."""
    return _expression("ct", attribute(1, big_u32(register)), attribute(2, big_u32(key)))


def dnat_ipv4(address_register: int = REGISTER, port_register: int = REGISTER + 1) -> bytes:
    """Rewrite the destination to the address and port in the registers."""
    return _expression(
        "nat",
        attribute(1, big_u32(_NAT_DESTINATION)),
        attribute(2, big_u32(_NFPROTO_IPV4)),
        attribute(3, big_u32(address_register)),
        attribute(5, big_u32(port_register)),
    )


def masquerade() -> bytes:
    """Rewrite the source to the outgoing interface's address."""
    return _expression("masq")


def verdict(code: int, chain: str = "") -> bytes:
    """DROP, ACCEPT, RETURN, or JUMP to ``chain``."""
    content = attribute(1, big_u32(code))
    if chain:
        content += attribute_string(2, chain)
    return _expression("immediate", attribute(1, big_u32(_VERDICT_REGISTER)), attribute(2, attribute(2, content)))

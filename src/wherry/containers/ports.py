"""Ports as Docker writes them: ``80/tcp`` keys, bindings with ranges."""

import ipaddress
from collections.abc import Mapping, Sequence

from wherry.containers.config import PortBinding
from wherry.errors import InvalidParameter
from wherry.network import ports

_PROTOCOLS = ("tcp", "udp", "sctp")


def parse_port(text: str) -> tuple[int, int, str]:
    """``80``, ``80/udp``, ``7000-7009/tcp`` → first, last, protocol."""
    numbers, _, protocol = text.partition("/")
    protocol = (protocol or "tcp").lower()
    if protocol not in _PROTOCOLS:
        raise InvalidParameter(f"invalid proto: {protocol}")
    try:
        first, last = _range(numbers)
    except ValueError as exc:
        raise InvalidParameter(f"invalid port specification: {text!r}".replace("'", '"')) from exc
    return first, last, protocol


def exposed_ports(ports_by_key: Mapping[str, object] | None) -> list[str]:
    """The keys with ranges expanded, each as ``80/tcp``."""
    result = []
    for key in ports_by_key or ():
        first, last, protocol = parse_port(key)
        result += [f"{port}/{protocol}" for port in range(first, last + 1)]
    return result


def parse_port_bindings(
    bindings: Mapping[str, Sequence[PortBinding] | None] | None,
) -> list[ports.PortBinding]:
    """HostConfig.PortBindings for the network controller; a host range is matched number by number with a container
    range, or means "the first free of it" (taken as its first) for a single port."""
    result = []
    for key, wanted in (bindings or {}).items():
        first, last, protocol = parse_port(key)
        for binding in wanted or ():
            if binding.host_ip:
                try:
                    ipaddress.ip_address(binding.host_ip)
                except ValueError as exc:
                    raise InvalidParameter(f"invalid IP address: {binding.host_ip}") from exc
            for offset, port in enumerate(range(first, last + 1)):
                host_port = _host_port(binding.host_port, offset, last - first)
                result.append(ports.PortBinding(port, protocol, binding.host_ip, host_port))
    return result


def _host_port(text: str, offset: int, span: int) -> int:
    if text in ("", "0"):
        return 0
    try:
        first, last = _range(text)
    except ValueError as exc:
        raise InvalidParameter(f'invalid port specification: "{text}"') from exc
    if span and last - first != span:
        raise InvalidParameter(f'invalid port specification: "{text}": ranges of different lengths')
    return first + offset


def _range(text: str) -> tuple[int, int]:
    low, separator, high = text.partition("-")
    if not low.isascii() or not low.isdigit() or (separator and not (high.isascii() and high.isdigit())):
        raise ValueError(text)
    first, last = int(low), int(high) if separator else int(low)
    if not 0 < first <= last <= 65535:
        raise ValueError(text)
    return first, last

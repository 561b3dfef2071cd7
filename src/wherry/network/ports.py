"""Published ports: host sockets that reserve a port and that the monitor's proxy accepts on.

A listener is bound before the firewall learns of the port, so two containers, or a container and a program
of the host, never share one. Ephemeral ports are the kernel's choice, the same for IPv4 and IPv6.
"""

import errno
import socket
from collections.abc import Iterable
from dataclasses import dataclass

from wherry.errors import InvalidParameter, System

_EPHEMERAL_TRIES = 16
_BACKLOG = 4096
PROTOCOLS = ("tcp", "udp", "sctp")


@dataclass(frozen=True, slots=True)
class PortBinding:
    """What ``-p`` asks for: ``host_ip`` "" is every address of both families, ``host_port`` 0 any free port."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int


@dataclass(slots=True)
class PublishedPort:
    """A reserved host port; ``listener`` is the bound socket, passed to the monitor and closed here after."""

    container_port: int
    protocol: str
    host_ip: str
    host_port: int
    listener: socket.socket


class PortUnavailable(System):
    """The host port is taken; moby's wording, which clients show as it is."""


def publish(bindings: Iterable[PortBinding], *, default_ip: str) -> list[PublishedPort]:
    """Bind every port, or none: PortUnavailable for the first that is taken."""
    published: list[PublishedPort] = []
    try:
        for binding in bindings:
            published.extend(_publish_one(binding, default_ip))
    except BaseException:
        for port in published:
            port.listener.close()
        raise
    return published


def _publish_one(binding: PortBinding, default_ip: str) -> list[PublishedPort]:
    if binding.protocol not in PROTOCOLS:
        raise InvalidParameter(f"invalid proto: {binding.protocol}")
    addresses = [binding.host_ip] if binding.host_ip else [default_ip]
    if addresses == ["0.0.0.0"] and not binding.host_ip and socket.has_ipv6:
        addresses.append("::")
    for attempt in range(_EPHEMERAL_TRIES):
        opened: list[PublishedPort] = []
        port = binding.host_port
        try:
            for address in addresses:
                listener = _listen(address, port, binding.protocol)
                port = listener.getsockname()[1]
                opened.append(PublishedPort(binding.container_port, binding.protocol, address, port, listener))
        except OSError as exc:
            for one in opened:
                one.listener.close()
            if address == "::" and exc.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                addresses.remove("::")  # a host without IPv6 publishes on IPv4 alone
                continue
            # The kernel's free IPv4 port may be taken on IPv6: ask for another.
            if binding.host_port == 0 and exc.errno == errno.EADDRINUSE and attempt + 1 < _EPHEMERAL_TRIES:
                continue
            raise _unavailable(address, port, binding.protocol, exc) from exc
        return opened
    raise PortUnavailable(f"find a free port for {binding.container_port}/{binding.protocol}: none left")


def _listen(address: str, port: int, protocol: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    if protocol == "udp":
        listener = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    elif protocol == "sctp":
        listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_SCTP)
    else:
        listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if protocol != "udp":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        if protocol != "udp":
            listener.listen(_BACKLOG)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _unavailable(address: str, port: int, protocol: str, exc: OSError) -> PortUnavailable:
    shown = f"[{address}]" if ":" in address else address
    if exc.errno == errno.EADDRINUSE:
        return PortUnavailable(
            f"Bind for {shown}:{port} failed: port is already allocated",
            hint=f"Find the owner with: ss -lntup 'sport = :{port}'",
        )
    return PortUnavailable(f"listen {protocol} {shown}:{port}: bind: {(exc.strerror or str(exc)).lower()}")

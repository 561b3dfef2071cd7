"""Connecting: addresses and which of them are refused, proxies, tunnels, TLS contexts."""

import http.client
import ipaddress
import os
import socket
import ssl
import urllib.request
from typing import Final

from wherry import __version__
from wherry.registry.endpoints import Endpoint
from wherry.registry.errors import RegistryForbidden, from_network
from wherry.registry.origin import Origin, parse_url

USER_AGENT: Final = f"wherry/{__version__}"


def dial(origin: Origin, timeout_seconds: float) -> tuple[socket.socket, str]:
    """Connect to the first address that answers; the socket and ``address:port`` for messages."""
    found = socket.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
    for attempt, (family, kind, protocol, _, target) in enumerate(found, 1):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(timeout_seconds)
            sock.connect(target)
        except OSError as exc:
            sock.close()
            if attempt == len(found):
                raise from_network(
                    exc, url=f"{origin}/v2/", host=origin.host, address=_join(str(target[0]), origin.port)
                ) from exc
            continue
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock, _join(str(target[0]), origin.port)
    raise socket.gaierror(f"no address for {origin.host}")


def _join(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def check_address(address: str, endpoint: Endpoint, origin: Origin) -> None:
    """Refuse an address that a registry has no business sending us to (S09); raises RegistryForbidden."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return  # a name, behind a proxy that resolves it
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    if found.is_link_local or found.is_multicast or found.is_unspecified:
        raise RegistryForbidden(f"refuse request to {origin} on the word of {endpoint.host}: link-local address")
    if found.is_loopback and not _is_loopback_name(endpoint.hostname):
        raise RegistryForbidden(f"refuse request to {origin} on the word of {endpoint.host}: loopback address")


def _is_loopback_name(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def proxy_for(origin: Origin) -> Origin | None:
    """The proxy that the environment names for an origin (``HTTPS_PROXY``, ``HTTP_PROXY``, ``NO_PROXY``)."""
    if _is_loopback_name(origin.host) or urllib.request.proxy_bypass(origin.host):
        return None
    url = urllib.request.getproxies().get(origin.scheme)
    if not url:
        return None
    proxy, _ = parse_url(url if "://" in url else f"http://{url}")
    return proxy


def tunnel(connection: http.client.HTTPConnection, origin: Origin) -> None:
    """Ask the proxy at the other end of ``connection`` for a tunnel to ``origin``."""
    target = _join(origin.host, origin.port)
    connection.sock.sendall(
        f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\nUser-Agent: {USER_AGENT}\r\n\r\n".encode()
    )
    answer = http.client.HTTPResponse(connection.sock, method="CONNECT")
    answer.begin()
    if answer.status != 200:
        raise http.client.HTTPException(f"proxy answered CONNECT with {answer.status}")


def ssl_context(certificates: str, *, verify: bool) -> ssl.SSLContext:
    """A client's TLS context with the ``*.crt``, ``*.cert`` and ``*.key`` of a directory (Docker's ``certs.d``)."""
    context = ssl.create_default_context()
    names = sorted(os.listdir(certificates)) if certificates else []
    for name in names:
        path = os.path.join(certificates, name)
        if name.endswith(".crt"):
            context.load_verify_locations(cafile=path)
        elif name.endswith(".cert"):
            context.load_cert_chain(path, path.removesuffix(".cert") + ".key")
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

"""Where a repository's registry is: hosts, mirrors, and how far each may be trusted.

The one place that knows the public hosts that Docker's own clients know.
"""

import ipaddress
import os
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from wherry.errors import InvalidParameter
from wherry.settings import Settings

DOCKER_HUB: Final = "docker.io"
_DOCKER_HUB_HOST: Final = "registry-1.docker.io"
_DOCKER_HUB_INDEX: Final = "index.docker.io"

TOKEN_REALMS: Final = {
    _DOCKER_HUB_HOST: frozenset({"auth.docker.io"}),
    "registry.gitlab.com": frozenset({"gitlab.com"}),
    "registry.redhat.io": frozenset({"sso.redhat.com"}),
}
"""Registries whose token server has another host name, and may see their credentials (S08)."""

CERTIFICATE_DIRECTORIES: Final = ("/etc/wherry/certs.d", "/etc/docker/certs.d")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One HTTP origin that serves the distribution API."""

    host: str
    """``host`` or ``host:port``, as it stands in the reference."""
    schemes: tuple[str, ...]
    """What to try, in order: ``https`` alone unless plain HTTP is allowed for this host (S12)."""
    verify: bool
    """Whether a bad certificate is an error."""
    mirror: bool = False
    """A pull-through cache of docker.io: gets no credentials of docker.io."""
    prefix: str = ""
    """Path before ``/v2/``; only mirrors have one."""
    token_realms: frozenset[str] = frozenset()
    certificates: str = ""
    """Directory with ``*.crt``, ``*.cert`` and ``*.key`` for this host, or empty."""

    @property
    def hostname(self) -> str:
        """Without port and brackets."""
        return split_host(self.host, 443)[0]


def endpoints_for(domain: str, settings: Settings) -> list[Endpoint]:
    """The origins to ask for a reference's domain, in order: mirrors first, for docker.io only."""
    insecure = settings.insecure_registries
    if domain != DOCKER_HUB:
        return [_endpoint(domain, insecure, settings.token_realms)]
    mirrors = [_mirror(url, insecure) for url in settings.registry_mirrors]
    return [*mirrors, _endpoint(_DOCKER_HUB_HOST, insecure, settings.token_realms)]


def search_endpoint(domain: str, settings: Settings) -> Endpoint:
    """Where a registry answers searches: its own host, and for docker.io the index's."""
    host = _DOCKER_HUB_INDEX if domain == DOCKER_HUB else domain
    return _endpoint(host, settings.insecure_registries, settings.token_realms)


def _endpoint(host: str, insecure: Sequence[str], realms: Mapping[str, str]) -> Endpoint:
    """``realms``: a token server's host by registry host, from the settings."""
    open_to_http = is_insecure(host, insecure)
    return Endpoint(
        host,
        ("https", "http") if open_to_http else ("https",),
        verify=not open_to_http,
        token_realms=TOKEN_REALMS.get(host, frozenset()) | ({realms[host]} if host in realms else set()),
        certificates=_certificates(host),
    )


def _mirror(url: str, insecure: Sequence[str]) -> Endpoint:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise InvalidParameter(f"invalid mirror: {url!r} is not http(s)://host[:port][/path]")
    host = parts.netloc
    return Endpoint(
        host,
        (parts.scheme,),
        verify=not is_insecure(host, insecure),
        mirror=True,
        prefix=parts.path.rstrip("/"),
        certificates=_certificates(host),
    )


def is_insecure(host: str, insecure: Sequence[str]) -> bool:
    """Whether ``host[:port]`` may be spoken to without a checked certificate: loopback, or configured.

    An entry is ``host:port``, ``host``, or a network in CIDR notation, which only literal addresses match.
    """
    name, _ = split_host(host, 443)
    address = _address(name)
    if name == "localhost" or (address is not None and address.is_loopback):
        return True
    for entry in insecure:
        if entry in (host, name):
            return True
        if "/" in entry and address is not None:
            try:
                network = ipaddress.ip_network(entry, strict=False)
            except ValueError as exc:
                raise InvalidParameter(f"invalid insecure-registries entry {entry!r}: {exc}") from exc
            if address.version == network.version and address in network:
                return True
    return False


def split_host(host: str, default_port: int) -> tuple[str, int]:
    """Split ``host``, ``host:port``, ``[v6]:port``."""
    if host.startswith("["):
        name, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        name, _, port = host.partition(":")
    if port and (not port.isdecimal() or not 0 < int(port) < 65536):
        raise InvalidParameter(f"invalid port in registry host {host!r}")
    return name.lower(), int(port) if port else default_port


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _certificates(host: str) -> str:
    for directory in CERTIFICATE_DIRECTORIES:
        path = os.path.join(directory, host)
        if os.path.isdir(path):
            return path
    return ""

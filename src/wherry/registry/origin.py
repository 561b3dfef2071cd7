"""URLs from a registry: which origin they name, and which are refused."""

import urllib.parse
from dataclasses import dataclass
from typing import Final

from wherry.registry.errors import RegistryForbidden

PORTS: Final = {"https": 443, "http": 80}


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port: who may see what is meant for whom."""

    scheme: str
    host: str
    port: int

    @property
    def authority(self) -> str:
        """``host[:port]`` for the Host header and messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def parse_url(url: str) -> tuple[Origin, str]:
    """Origin and path (with query) of an http(s) URL from a registry; raises RegistryForbidden for others."""
    try:
        parts = urllib.parse.urlsplit(url)
        port = parts.port
    except ValueError as exc:
        raise RegistryForbidden(f"refuse URL {url[:200]!r}: {exc}") from exc
    if parts.scheme not in PORTS or not parts.hostname or parts.username is not None:
        raise RegistryForbidden(f"refuse URL {url[:200]!r}: not http or https with a host")
    if any(ord(c) <= 0x20 or ord(c) == 0x7F for c in url):
        raise RegistryForbidden(f"refuse URL {url[:200]!r}: control characters")
    path = urllib.parse.quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._") + (
        f"?{parts.query}" if parts.query else ""
    )
    return Origin(parts.scheme, parts.hostname.lower(), port or PORTS[parts.scheme]), path


def join_url(base: str, location: str) -> str:
    """Resolve a ``Location`` header; raises RegistryForbidden."""
    try:
        return urllib.parse.urljoin(base, location)
    except ValueError as exc:
        raise RegistryForbidden(f"refuse redirect to {location[:200]!r}: {exc}") from exc

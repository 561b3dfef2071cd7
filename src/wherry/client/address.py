"""Where an engine listens: ``unix:///path`` and ``tcp://host:port``, from ``--host``, WHERRY_HOST or DOCKER_HOST."""

import os

from wherry import roots
from wherry.errors import InvalidParameter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


class TlsFiles:
    """Paths of PEM files for a client: authority, certificate, key (an empty one is not used)."""

    __slots__ = ("authority", "certificate", "key", "verify")

    def __init__(self, authority: str, certificate: str, key: str, *, verify: bool) -> None:
        self.authority = authority
        self.certificate = certificate
        self.key = key
        self.verify = verify


class Address:
    """One engine's address. ``path`` for unix, ``host`` and ``port`` for tcp; ``own`` marks this user's engine."""

    __slots__ = ("host", "own", "path", "port", "text", "tls")

    def __init__(
        self,
        text: str,
        *,
        path: str = "",
        host: str = "",
        port: int = 0,
        tls: TlsFiles | None = None,
        own: bool = False,
    ) -> None:
        self.text = text
        self.path = path
        self.host = host
        self.port = port
        self.tls = tls
        self.own = own


def parse_address(text: str, tls: TlsFiles | None = None) -> Address:
    """``unix://PATH``, ``tcp://HOST[:PORT]``, ``PATH`` or ``HOST[:PORT]``, as ``docker --host`` takes them."""
    text = text.strip()
    if "://" not in text:
        text = f"unix://{text}" if text.startswith("/") else f"tcp://{text}"
    scheme, rest = text.split("://", 1)
    if scheme == "unix":
        if not rest:
            raise InvalidParameter(f'unable to parse docker host "{text}"')
        return Address(text, path=rest)
    if scheme in ("tcp", "http", "https"):
        host, port = _split_port(rest.rstrip("/"), 2376 if tls or scheme == "https" else 2375)
        if scheme == "https" and tls is None:
            tls = TlsFiles("", "", "", verify=True)
        return Address(f"tcp://{rest}", host=host or "localhost", port=port, tls=tls)
    raise InvalidParameter(
        f'unable to parse docker host "{text}": {scheme}:// is not supported',
        hint="Use unix:// or tcp://; for another machine forward its socket with ssh -L.",
    )


def _split_port(rest: str, default: int) -> tuple[str, int]:
    host, colon, port = rest.rpartition(":")
    if not colon or "]" in port:
        return rest.strip("[]"), default
    if not port.isdigit() or int(port) > 65535:
        raise InvalidParameter(f'unable to parse docker host "tcp://{rest}": invalid port "{port}"')
    return host.strip("[]"), int(port)


def find_address(
    host: str = "",
    environ: "Mapping[str, str] | None" = None,
    tls: TlsFiles | None = None,
    context: str = "",
) -> Address:
    """``host`` if given, else the named ``context``, else WHERRY_HOST, DOCKER_HOST, DOCKER_CONTEXT, the current one
    of Docker's contexts, this user's own engine."""
    environ = os.environ if environ is None else environ
    if not context:
        host = host or environ.get("WHERRY_HOST", "") or environ.get("DOCKER_HOST", "")
    if host:
        return parse_address(host, tls or tls_of_environment(environ))
    from wherry.client import contexts  # it imports this module

    context = context or contexts.selected(environ)
    found = contexts.address_of(context, environ) if context != contexts.DEFAULT else None
    if found is not None:
        return found
    path = roots.api_socket(roots.run_root())
    return Address(f"unix://{path}", path=path, own=True)


def tls_of_environment(environ: "Mapping[str, str]") -> TlsFiles | None:
    """DOCKER_TLS_VERIFY and DOCKER_CERT_PATH, as the docker CLI reads them."""
    verify = environ.get("DOCKER_TLS_VERIFY", "")
    if not verify and not environ.get("DOCKER_TLS", ""):
        return None
    return tls_files(environ, verify=bool(verify))


def tls_files(
    environ: "Mapping[str, str]", *, verify: bool, authority: str = "", certificate: str = "", key: str = ""
) -> TlsFiles:
    """Those that are given, for the rest docker's places; a certificate that nobody named need not be there."""
    folder = environ.get("DOCKER_CERT_PATH") or os.path.expanduser("~/.docker")
    found = [
        path if given or os.path.exists(path) else ""
        for given, path in (
            (certificate, certificate or f"{folder}/cert.pem"),
            (key, key or f"{folder}/key.pem"),
        )
    ]
    return TlsFiles(authority or f"{folder}/ca.pem", found[0], found[1], verify=verify)

"""Where the engine listens besides its own socket: ``hosts``, ``wherry serve -H``. TCP with mutual TLS or not at all.

The zygote has the API socket. These are the engine's, which for their sake never goes idle.
"""

import os
import socket

from wherry.errors import InvalidParameter, System, WherryError
from wherry.linux.fdsocket import listen_unix
from wherry.settings import Settings

_TLS_PORT = 2376


def check_hosts(settings: Settings) -> None:
    """InvalidParameter for an address that is none, and for TCP without the clients' certificates (S91)."""
    for text in settings.hosts:
        scheme, separator, rest = text.partition("://")
        if not separator or scheme not in ("unix", "tcp", "fd") or (scheme != "fd" and not rest):
            raise InvalidParameter(
                f"listen on {text}: not an address", hint="Use unix:///path, tcp://host:port or fd://."
            )
        if scheme == "tcp":
            _parse_tcp(text)
            if not settings.tlsverify:
                raise InvalidParameter(
                    f"listen on {text}: whoever can connect is root on this machine, so TCP needs certificates",
                    hint="Set tlsverify, tlscacert, tlscert and tlskey; or forward the socket: ssh -L "
                    f"/tmp/wherry.sock:{settings.api_socket} HOST.",
                )


def has_tcp(settings: Settings) -> bool:
    """Whether certificates are needed at all."""
    return any(text.startswith("tcp://") for text in settings.hosts)


def open_listeners(settings: Settings) -> list[socket.socket]:
    """Bind every address but the API socket. Raises InvalidParameter or System."""
    check_hosts(settings)
    listeners: list[socket.socket] = []
    try:
        for text in settings.hosts:
            scheme, _, rest = text.partition("://")
            if scheme == "tcp":
                listeners.append(_listen_tcp(text))
            elif scheme == "unix" and rest != settings.api_socket:
                listeners.append(_listen_unix(settings, rest))
    except WherryError:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def _listen_unix(settings: Settings, path: str) -> socket.socket:
    try:
        own = os.stat(settings.api_socket)
        listener = listen_unix(path, socket.SOCK_STREAM)
        if own.st_gid != os.getegid():
            os.chown(path, -1, own.st_gid)
            os.chmod(path, 0o660)
    except OSError as exc:
        raise System(f"listen on unix://{path}: {exc.strerror}") from exc
    return listener


def _listen_tcp(text: str) -> socket.socket:
    host, port = _parse_tcp(text)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family, backlog=128)
    except OSError as exc:
        raise System(f"listen on {text}: {exc.strerror or exc}") from exc


def _parse_tcp(text: str) -> tuple[str, int]:
    rest = text.removeprefix("tcp://").rstrip("/")
    host, colon, port = rest.rpartition(":")
    if not colon or "]" in port:
        host, port = rest, str(_TLS_PORT)
    if not host or not port.isdigit() or int(port) > 65535:
        raise InvalidParameter(f"listen on {text}: not an address", hint="Use tcp://host:port.")
    return host.strip("[]"), int(port)

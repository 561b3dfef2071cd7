"""Docker's context store: named engines, as the docker CLI keeps and reads them.

``$DOCKER_CONFIG`` (``~/.docker``):
    config.json                                        ``currentContext``
    contexts/meta/<sha256 of the name>/meta.json       Name, Metadata, Endpoints.docker
    contexts/tls/<sha256 of the name>/docker/*.pem     ca, cert and key, readable by their owner

Only reading is on the way of every command; what writes is ``context_store.py``.
"""

import os

from wherry.client import json_codec
from wherry.client.address import Address, TlsFiles, parse_address
from wherry.errors import InvalidParameter, NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

DEFAULT = "default"


class ContextNotFound(NotFound):
    """No context of that name in the store."""


def config_folder(environ: "Mapping[str, str]") -> str:
    """Where docker's client configuration is."""
    return environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")


def selected(environ: "Mapping[str, str]") -> str:
    """The context that is in force where no host and no ``--context`` was given."""
    name = environ.get("DOCKER_CONTEXT", "")
    if name:
        return name
    path = f"{config_folder(environ)}/config.json"
    try:
        with open(path, "rb") as file:
            document = json_codec.loads(file.read())
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return DEFAULT
    except ValueError as exc:
        raise InvalidParameter(f"read {path}: {exc}") from exc
    current = document.get("currentContext") if isinstance(document, dict) else ""
    return current if isinstance(current, str) and current else DEFAULT


def folders(name: str, environ: "Mapping[str, str]") -> tuple[str, str]:
    """The folders of its metadata and of its certificates."""
    from hashlib import sha256  # start-up cost: only who uses contexts

    root, key = f"{config_folder(environ)}/contexts", sha256(name.encode()).hexdigest()
    return f"{root}/meta/{key}", f"{root}/tls/{key}"


def read_metadata(name: str, environ: "Mapping[str, str]") -> "dict[str, Any]":
    """meta.json. Raises ContextNotFound in docker's words."""
    path = f"{folders(name, environ)[0]}/meta.json"
    try:
        with open(path, "rb") as file:
            document = json_codec.loads(file.read())
    except OSError as exc:
        raise ContextNotFound(
            f'context "{name}": context not found: open {path}: {(exc.strerror or "").lower()}'
        ) from exc
    except ValueError as exc:
        raise InvalidParameter(f"read {path}: {exc}") from exc
    if not isinstance(document, dict):
        raise InvalidParameter(f"read {path}: not a JSON object")
    return document


def endpoint_of(metadata: "dict[str, Any]") -> "dict[str, Any]":
    """Its docker endpoint; empty when it has none."""
    endpoint = (metadata.get("Endpoints") or {}).get("docker")
    return endpoint if isinstance(endpoint, dict) else {}


def address_of(name: str, environ: "Mapping[str, str]") -> Address | None:
    """Where a context's engine listens; None when it names no host, which is this user's own engine."""
    try:
        endpoint = endpoint_of(read_metadata(name, environ))
    except ContextNotFound as exc:
        raise ContextNotFound(f"Failed to initialize: unable to resolve docker endpoint: {exc.message}") from exc
    host = endpoint.get("Host") or ""
    if not host:
        return None
    folder = f"{folders(name, environ)[1]}/docker"
    paths = [path if os.path.exists(path) else "" for path in (f"{folder}/{n}.pem" for n in ("ca", "cert", "key"))]
    skip = bool(endpoint.get("SkipTLSVerify"))
    tls = TlsFiles(paths[0], paths[1], paths[2], verify=not skip) if skip or any(paths) else None
    return parse_address(host, tls)

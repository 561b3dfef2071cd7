"""What changes Docker's context store (``contexts.py`` has its layout)."""

import json
import os
import re
import shutil
import ssl
from collections.abc import Mapping
from typing import Any

from wherry.client import contexts
from wherry.client.credentials import config_path, read_config, write_config
from wherry.errors import Conflict, InvalidParameter, NotFound, System

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.+-]+")
_NAME_TEXT = "^[a-zA-Z0-9][a-zA-Z0-9_.+-]+$"
_FILES = {"ca": "ca.pem", "cert": "cert.pem", "key": "key.pem"}
_KEYS = ("from", "host", "ca", "cert", "key", "skip-tls-verify")


def check_name(name: str) -> None:
    """Raises InvalidParameter in docker's words."""
    if name == contexts.DEFAULT:
        raise InvalidParameter('"default" is a reserved context name')
    if not _NAME.fullmatch(name):
        raise InvalidParameter(f'context name "{name}" is invalid, names are validated against regexp "{_NAME_TEXT}"')


def names() -> list[str]:
    """Every stored context, sorted."""
    root = f"{contexts.config_folder(os.environ)}/contexts/meta"
    found = []
    try:
        keys = os.listdir(root)
    except FileNotFoundError:
        return []
    for key in keys:
        try:
            with open(f"{root}/{key}/meta.json", encoding="utf-8") as file:
                name = json.load(file)["Name"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # being written or removed, or not docker's
        if isinstance(name, str) and contexts.folders(name, os.environ)[0].endswith(key):
            found.append(name)
    return sorted(found)


def tls_names(name: str) -> list[str]:
    """The certificate files that a context has."""
    try:
        return sorted(os.listdir(f"{contexts.folders(name, os.environ)[1]}/docker"))
    except FileNotFoundError:
        return []


def create(name: str, description: str, endpoint: Mapping[str, str] | None, source: str, own_host: str) -> None:
    """Make a context: of ``endpoint`` (``--docker``), a copy of ``source``, or of the engine at ``own_host``."""
    check_name(name)
    meta, tls = contexts.folders(name, os.environ)
    if os.path.exists(f"{meta}/meta.json"):
        raise Conflict(f'context "{name}" already exists')
    if source and endpoint is not None:
        raise InvalidParameter("cannot use --docker flag when --from is set")
    if endpoint is None:
        endpoint = {"from": source or contexts.selected(os.environ)}
        if endpoint["from"] != contexts.DEFAULT:
            copied = contexts.read_metadata(endpoint["from"], os.environ).get("Metadata") or {}
            description = description or str(copied.get("Description") or "")
    _write(name, description, *_endpoint(endpoint, own_host), (meta, tls))


def update(name: str, description: str | None, endpoint: Mapping[str, str] | None, own_host: str) -> None:
    """Change what is given. Raises NotFound."""
    check_name(name)
    document = contexts.read_metadata(name, os.environ)
    meta, tls = contexts.folders(name, os.environ)
    if description is None:
        description = str((document.get("Metadata") or {}).get("Description") or "")
    if endpoint is None:
        _write_metadata(meta, name, description, contexts.endpoint_of(document))
        return
    _write(name, description, *_endpoint(endpoint, own_host), (meta, tls))


def remove(name: str, *, force: bool) -> None:
    """Conflict for the one in use without ``force``, which also takes a name that is none."""
    if name == contexts.DEFAULT:
        raise InvalidParameter('context "default" cannot be removed')
    meta, tls = contexts.folders(name, os.environ)
    if not os.path.exists(f"{meta}/meta.json") and not force:
        raise NotFound(f'context "{name}" does not exist')
    if contexts.selected(os.environ) == name:
        if not force:
            raise Conflict(f'context "{name}" is in use, set -f flag to force remove')
        use(contexts.DEFAULT)
    for folder in (meta, tls):
        shutil.rmtree(folder, ignore_errors=True)


def use(name: str) -> None:
    """Make it the one that is in force. Raises NotFound."""
    config = read_config()
    if name == contexts.DEFAULT:
        config.pop("currentContext", None)
    else:
        if not _NAME.fullmatch(name):
            check_name(name)
        contexts.read_metadata(name, os.environ)
        config["currentContext"] = name
    if config or os.path.exists(config_path()):
        write_config(config)


def _endpoint(given: Mapping[str, str], own_host: str) -> tuple[dict[str, Any], dict[str, bytes]]:
    """The endpoint's document and its certificates."""
    for key in given:
        if key not in _KEYS:
            raise InvalidParameter(f"unable to create docker endpoint config: unrecognized config key: {key}")
    source = given.get("from", "")
    if source == contexts.DEFAULT:
        return {"Host": own_host, "SkipTLSVerify": False}, {}
    if source:
        folder = f"{contexts.folders(source, os.environ)[1]}/docker"
        document = contexts.endpoint_of(contexts.read_metadata(source, os.environ))
        return document, {name: _read(f"{folder}/{name}") for name in tls_names(source)}
    skip = given.get("skip-tls-verify", "false")
    if skip.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise InvalidParameter(f'unable to create docker endpoint config: invalid boolean "{skip}"')
    document = {"SkipTLSVerify": skip.lower() in ("true", "1", "t")}
    if given.get("host"):
        document = {"Host": given["host"], **document}
        _check_certificates(given)
    return document, {file: _read(given[key]) for key, file in _FILES.items() if given.get(key)}


def _check_certificates(given: Mapping[str, str]) -> None:
    """As docker does for an endpoint with a host: now, and not when it is used."""
    wrong = "unable to create docker endpoint config: invalid docker endpoint options: "
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if given.get("ca"):
        try:
            context.load_verify_locations(cadata=_read(given["ca"]).decode("ascii", "replace"))
        except (ssl.SSLError, ValueError) as exc:
            raise InvalidParameter(f"{wrong}failed to retrieve context tls info: ca.pem seems invalid") from exc
    if given.get("cert") and given.get("key"):
        for name in ("cert", "key"):
            _read(given[name])
        try:
            context.load_cert_chain(os.path.expanduser(given["cert"]), os.path.expanduser(given["key"]))
        except ssl.SSLError as exc:
            raise InvalidParameter(f"{wrong}no valid private key found") from exc


def _write(
    name: str, description: str, endpoint: Mapping[str, Any], files: Mapping[str, bytes], folders: tuple[str, str]
) -> None:
    meta, tls = folders
    shutil.rmtree(tls, ignore_errors=True)
    for file, content in files.items():
        os.makedirs(f"{tls}/docker", mode=0o700, exist_ok=True)
        _replace(f"{tls}/docker/{file}", content)
    _write_metadata(meta, name, description, endpoint)


def _write_metadata(folder: str, name: str, description: str, endpoint: Mapping[str, Any]) -> None:
    document = {
        "Name": name,
        "Metadata": {"Description": description} if description else {},
        "Endpoints": {"docker": dict(endpoint)},
    }
    os.makedirs(folder, mode=0o755, exist_ok=True)
    _replace(f"{folder}/meta.json", json.dumps(document, separators=(",", ":")).encode())


def _replace(path: str, content: bytes) -> None:
    draft = f"{path}.{os.getpid()}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(fd, "wb") as file:
        file.write(content)
    os.rename(draft, path)


def _read(path: str) -> bytes:
    try:
        with open(os.path.expanduser(path), "rb") as file:
            return file.read()
    except OSError as exc:
        raise System(f"unable to create docker endpoint config: open {path}: {(exc.strerror or '').lower()}") from exc

"""Registry credentials as Docker's clients keep them: ``config.json`` and credential helpers.

The file is ``$DOCKER_CONFIG/config.json``, else ``~/.docker/config.json``, so that ``docker login`` and
``wherry login`` serve each other. Credentials in it are base64, not encrypted: the file is written 0600.
"""

import base64
import contextlib
import json
import os
from typing import Any

from wherry.client import credential_helper
from wherry.errors import InvalidParameter

INDEX_SERVER = "https://index.docker.io/v1/"


def config_path() -> str:
    """Where the client configuration is."""
    folder = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    return f"{folder}/config.json"


def read_config() -> dict[str, Any]:
    """The whole document; empty if there is none."""
    path = config_path()
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as exc:
        raise InvalidParameter(f"read {path}: {exc}") from exc
    if not isinstance(document, dict):
        raise InvalidParameter(f"read {path}: not a JSON object")
    return document


def registry_of(repository: str) -> str:
    """The key under which a repository's credentials are kept."""
    first, slash, _ = repository.partition("/")
    if (
        slash
        and ("." in first or ":" in first or first == "localhost")
        and first not in ("docker.io", "index.docker.io")
    ):
        return first
    return INDEX_SERVER


def find_credentials(server: str) -> dict[str, str]:
    """The API's AuthConfig for a registry; empty if nothing is known."""
    config = read_config()
    helper = _helper_of(config, server)
    if helper:
        found = credential_helper.get(helper, server)
        if found:
            return found
    for key, entry in dict(config.get("auths") or {}).items():
        if _host(key) == _host(server) and isinstance(entry, dict):
            return _decode(entry, server)
    return {}


def _helper_of(config: dict[str, Any], server: str) -> str:
    """The credential helper that keeps a registry's secrets; empty when the file itself does."""
    return str(dict(config.get("credHelpers") or {}).get(server) or config.get("credsStore") or "")


def _host(key: str) -> str:
    return key.removeprefix("https://").removeprefix("http://").partition("/")[0]


def _decode(entry: dict[str, Any], server: str) -> dict[str, str]:
    credentials = {"serveraddress": server}
    if entry.get("auth"):
        try:
            user, _, password = base64.b64decode(entry["auth"]).decode().partition(":")
        except ValueError as exc:
            raise InvalidParameter(f"read {config_path()}: the credentials of {server} are not base64") from exc
        credentials |= {"username": user, "password": password.rstrip("\0")}
    if entry.get("identitytoken"):
        credentials["identitytoken"] = entry["identitytoken"]
    if entry.get("registrytoken"):
        credentials["registrytoken"] = entry["registrytoken"]
    return credentials


def registry_auth(repository: str) -> str:
    """The X-Registry-Auth header for a repository, empty without credentials."""
    credentials = find_credentials(registry_of(repository))
    return encode_auth(credentials) if credentials else ""


def encode_auth(credentials: dict[str, str]) -> str:
    """An AuthConfig as the header's base64url."""
    return base64.urlsafe_b64encode(json.dumps(credentials).encode()).decode()


def store_credentials(server: str, credentials: dict[str, str]) -> bool:
    """Keep a login (``auth`` or ``identitytoken``); whether the file holds a secret now that it did not before."""
    config = read_config()
    helper = _helper_of(config, server)
    token = credentials.get("identitytoken")
    entry: dict[str, str] = {}
    if helper and token:
        credential_helper.store(helper, server, "<token>", token)
    elif helper:
        credential_helper.store(helper, server, credentials["username"], credentials["password"])
    elif token:
        entry["identitytoken"] = token
    else:
        pair = f"{credentials['username']}:{credentials['password']}"
        entry["auth"] = base64.b64encode(pair.encode()).decode()
    auths = config.setdefault("auths", {})
    if auths.get(server) == entry:
        return False
    auths[server] = entry
    write_config(config)
    return not helper


def erase_credentials(server: str) -> bool:
    """Forget a login; False if the file knew none. A helper is told as well."""
    config = read_config()
    helper = _helper_of(config, server)
    if helper:
        credential_helper.erase(helper, server)
    auths = config.get("auths") or {}
    keys = [key for key in auths if _host(key) == _host(server)]
    for key in keys:
        del auths[key]
    if keys:
        write_config(config)
    return bool(keys)


def write_config(config: dict[str, Any]) -> None:
    """Replace the document."""
    path = config_path()
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    draft = f"{path}.{os.getpid()}"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8") as file:
            json.dump(config, file, indent="\t")
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(draft)
        raise

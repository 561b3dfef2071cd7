"""Registry credentials: the ``X-Registry-Auth`` header and the ``auths`` of Docker's ``config.json``.

Standard library only: the CLI reads the file with this module and sends the header.
"""

import base64
import binascii
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from typing import Any, Final

from wherry.errors import InvalidParameter

DOCKER_HUB_KEY: Final = "https://index.docker.io/v1/"
"""Under what name Docker files the credentials of docker.io."""

_HELPER_TIMEOUT_SECONDS: Final = 30


@dataclass(frozen=True, slots=True)
class AuthConfig:
    """What a client knows about one registry. ``repr`` shows no secret."""

    username: str = ""
    password: str = ""
    identity_token: str = ""
    """An OAuth2 refresh token, used instead of a password."""
    registry_token: str = ""
    """A bearer token to be sent as it is."""
    server_address: str = ""

    def __repr__(self) -> str:
        return f"AuthConfig(username={self.username!r}, server_address={self.server_address!r}, …)"

    def __bool__(self) -> bool:
        return bool(self.username or self.password or self.identity_token or self.registry_token)

    @property
    def fingerprint(self) -> str:
        """Tells two credentials apart in a cache without holding them."""
        parts = (self.username, self.password, self.identity_token, self.registry_token)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest() if self else ""


def parse_header(header: str) -> AuthConfig | None:
    """Decode ``X-Registry-Auth`` (base64url JSON); None for an empty one or one without credentials."""
    if not header:
        return None
    try:
        document = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError) as exc:
        raise InvalidParameter("invalid X-Registry-Auth header: not base64url of a JSON object") from exc
    if not isinstance(document, dict):
        raise InvalidParameter("invalid X-Registry-Auth header: not a JSON object")
    return _auth_config(document, str(document.get("serveraddress") or "")) or None


def encode_header(auth: AuthConfig) -> str:
    """The ``X-Registry-Auth`` header of these credentials."""
    document = {
        "username": auth.username, "password": auth.password, "identitytoken": auth.identity_token,
        "registrytoken": auth.registry_token, "serveraddress": auth.server_address,
    }  # fmt: skip
    return base64.urlsafe_b64encode(json.dumps({k: v for k, v in document.items() if v}).encode()).decode()


def from_docker_config(domain: str, path: str | None = None) -> AuthConfig | None:
    """Look up a registry in ``~/.docker/config.json`` (or ``$DOCKER_CONFIG``), credential helpers included."""
    directory = os.environ.get("DOCKER_CONFIG") or os.path.expanduser("~/.docker")
    path = path or os.path.join(directory, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise InvalidParameter(f"read {path}: {exc}") from exc
    if not isinstance(document, dict):
        raise InvalidParameter(f"read {path}: not a JSON object")
    key = DOCKER_HUB_KEY if domain == "docker.io" else domain
    helper = (document.get("credHelpers") or {}).get(key) or document.get("credsStore")
    if helper:
        found = _ask_helper(str(helper), key)
        if found is not None:
            return found
    for name, entry in (document.get("auths") or {}).items():
        if isinstance(entry, dict) and (name == key or _hostname(name) == domain):
            return _auth_config(entry, key) or None
    return None


def _auth_config(entry: dict[str, Any], server: str) -> AuthConfig:
    username, password = str(entry.get("username") or ""), str(entry.get("password") or "")
    encoded = entry.get("auth")
    if encoded and not username:
        try:
            username, _, password = base64.b64decode(str(encoded)).decode().rstrip("\0").partition(":")
        except (binascii.Error, UnicodeDecodeError) as exc:
            raise InvalidParameter("invalid registry credentials: auth is not base64 of user:password") from exc
    return AuthConfig(
        username, password, str(entry.get("identitytoken") or ""), str(entry.get("registrytoken") or ""), server
    )


def _hostname(name: str) -> str:
    return name.partition("://")[2].partition("/")[0] if "://" in name else name.partition("/")[0]


def _ask_helper(helper: str, key: str) -> AuthConfig | None:
    if "/" in helper:
        raise InvalidParameter(f"invalid credential helper {helper!r}")
    try:
        answer = subprocess.run(
            [f"docker-credential-{helper}", "get"], input=key.encode(), capture_output=True, check=True,
            timeout=_HELPER_TIMEOUT_SECONDS,
        )  # fmt: skip
        document = json.loads(answer.stdout)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None  # Docker's client too goes on without credentials: the helper may hold none for this registry
    username, secret = str(document.get("Username") or ""), str(document.get("Secret") or "")
    if username == "<token>":
        return AuthConfig(identity_token=secret, server_address=key)
    return AuthConfig(username, secret, server_address=key)

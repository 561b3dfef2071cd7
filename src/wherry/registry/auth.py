"""Authentication: the challenge of a 401, basic and bearer, and the tokens that were fetched.

Where secrets go (S08): basic credentials to the registry itself; to a token server only on the registry's
own host or one listed for it in ``endpoints.TOKEN_REALMS``, and never from https to http. Any other realm
may be asked, but without a secret.

The cache's key has everything that a token depends on: registry, realm, service, scope, credential (S11).
"""

import base64
import json
import re
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import Final

from wherry.registry.credentials import AuthConfig
from wherry.registry.errors import (
    AuthenticationRequired,
    ConnectionFailed,
    RegistryForbidden,
    ServerUnwell,
    parse_errors,
)
from wherry.registry.origin import Origin, parse_url
from wherry.registry.transport import Response, Transport

_MAX_TOKEN_BYTES: Final = 1 << 20
_DEFAULT_LIFETIME_SECONDS: Final = 60
_PARAMETER: Final = re.compile(r'\s*,?\s*([A-Za-z0-9_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))')
_UNSAFE: Final = re.compile(r"[\x00-\x20\x7f]")


@dataclass(frozen=True, slots=True)
class Challenge:
    """One ``WWW-Authenticate`` header."""

    scheme: str
    parameters: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Key:
    registry: str
    realm: str
    service: str
    scope: str
    credential: str


def parse_challenge(header: str) -> Challenge | None:
    """Parse ``Bearer realm="…",service="…",scope="…"`` or ``Basic realm="…"``; None for anything else."""
    scheme, _, rest = header.strip().partition(" ")
    scheme = scheme.lower()
    if scheme not in ("basic", "bearer") or len(header) > 8192:
        return None
    parameters: dict[str, str] = {}
    for match in _PARAMETER.finditer(rest):
        value = match[2] if match[2] is not None else match[3]
        parameters.setdefault(match[1].lower(), re.sub(r"\\(.)", r"\1", value))
    return Challenge(scheme, parameters)


class TokenCache:
    """Bearer tokens by everything they depend on. Shared by all pulls of an engine; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: dict[_Key, tuple[str, float]] = {}

    def get(self, key: _Key) -> str | None:
        """A token that lives for some seconds yet."""
        with self._lock:
            token, expires = self._tokens.get(key, ("", 0.0))
            return token if expires > time.monotonic() + 5 else None

    def put(self, key: _Key, token: str, lifetime_seconds: float) -> None:
        """Remember a token; forget the dead ones."""
        now = time.monotonic()
        with self._lock:
            self._tokens = {k: v for k, v in self._tokens.items() if v[1] > now}
            self._tokens[key] = (token, now + lifetime_seconds)

    def drop(self, key: _Key) -> None:
        """Forget a token that was refused."""
        with self._lock:
            self._tokens.pop(key, None)


class Authenticator:
    """Makes ``Authorization`` headers for one transport, credential and scope.

    Remembers the challenge per host in ``challenges``, so that a later request authenticates at once.
    """

    def __init__(
        self, transport: Transport, auth: AuthConfig | None, tokens: TokenCache, challenges: dict[str, Challenge]
    ) -> None:
        self._transport = transport
        self._auth = auth or AuthConfig()
        self._tokens = tokens
        self._challenges = challenges

    def header(self, scope: str) -> str:
        """What to send before the registry has asked: empty when it never has."""
        if self._auth.registry_token:
            return f"Bearer {_header_value(self._auth.registry_token)}"
        challenge = self._challenges.get(self._transport.endpoint.host)
        return self._answer(challenge, scope) if challenge is not None else ""

    def answer(self, response: Response, scope: str, *, refused: str) -> str:
        """The header that answers a 401; empty when there is none better than ``refused``, which was sent."""
        challenge = parse_challenge(response.header("WWW-Authenticate"))
        if challenge is None or self._auth.registry_token:
            return ""
        if refused.startswith("Bearer ") and challenge.scheme == "bearer":
            self._tokens.drop(self._key(challenge, scope))
        header = self._answer(challenge, scope)
        self._challenges[self._transport.endpoint.host] = challenge
        return "" if header == refused else header

    def _answer(self, challenge: Challenge, scope: str) -> str:
        if challenge.scheme == "basic":
            return basic_authorization(self._auth) if self._auth.username else ""
        key = self._key(challenge, scope)
        token = self._tokens.get(key)
        if token is None:
            token, lifetime = self._fetch(key)
            self._tokens.put(key, token, lifetime)
        return f"Bearer {token}"

    def _key(self, challenge: Challenge, scope: str) -> _Key:
        wanted = {*scope.split(" "), *challenge.parameters.get("scope", "").split(" ")} - {""}
        return _Key(
            str(self._transport.origin),
            challenge.parameters.get("realm", ""),
            challenge.parameters.get("service", ""),
            " ".join(sorted(wanted)),
            self._auth.fingerprint,
        )

    def _fetch(self, key: _Key) -> tuple[str, float]:
        realm, _ = parse_url(key.realm)
        registry = self._transport.origin
        if registry is not None and registry.scheme == "https" and realm.scheme != "https":
            raise RegistryForbidden(f"refuse token server {realm} of {registry}: https to http")
        trusted = self._trusted(realm)
        if self._auth and not trusted:
            raise RegistryForbidden(
                f"refuse to send the credentials of {self._transport.endpoint.host} to the token server {realm}",
                hint="Pull without credentials, or list the token server in the token-realms setting.",
            )
        query = [("service", key.service)] if key.service else []
        query += [("scope", scope) for scope in key.scope.split(" ") if scope]
        headers = {"Accept": "application/json"}
        if self._auth.identity_token:
            form = urllib.parse.urlencode(
                [*query, ("grant_type", "refresh_token"), ("refresh_token", self._auth.identity_token),
                 ("client_id", "wherry")]
            )  # fmt: skip
            headers["Content-Type"] = "application/x-www-form-urlencoded"
            response = self._transport.request_url("POST", key.realm, headers, body=form.encode())
        else:
            if self._auth.username:
                query.append(("account", self._auth.username))
                headers["Authorization"] = basic_authorization(self._auth)
            joined = key.realm + ("&" if "?" in key.realm else "?") + urllib.parse.urlencode(query)
            response = self._transport.request_url("GET", joined, headers)
        with response:
            return _token(response, realm)

    def _trusted(self, realm: Origin) -> bool:
        endpoint = self._transport.endpoint
        return realm.host == endpoint.hostname or realm.host in endpoint.token_realms


def _token(response: Response, realm: Origin) -> tuple[str, float]:
    body = response.read_all(_MAX_TOKEN_BYTES)
    if response.status in (401, 403):
        raise AuthenticationRequired(_refusal(response, body) or "unauthorized: authentication required")
    if response.status != 200:
        kind = ServerUnwell if response.status >= 500 or response.status == 429 else AuthenticationRequired
        raise kind(f"fetch token from {realm}: unexpected status {response.status}")
    try:
        document = json.loads(body)
        token = document.get("token") or document.get("access_token")
        lifetime = float(document.get("expires_in") or _DEFAULT_LIFETIME_SECONDS)
    except (ValueError, AttributeError, TypeError, RecursionError) as exc:
        raise ConnectionFailed(f"fetch token from {realm}: not the JSON of a token") from exc
    if not isinstance(token, str) or not token:
        raise AuthenticationRequired(f"authorization server {realm} did not include a token in the response")
    return _header_value(token), min(max(lifetime, _DEFAULT_LIFETIME_SECONDS), 86400.0)


def _refusal(response: Response, body: bytes | None = None) -> str:
    code, message = parse_errors(response.read_all(_MAX_TOKEN_BYTES) if body is None else body)
    if code:
        return f"{code.lower().replace('_', ' ')}: {message}"
    return f"unauthorized: {message}" if message else "unauthorized: authentication required"


def basic_authorization(auth: AuthConfig) -> str:
    """The ``Authorization`` header of a user name and a password."""
    return "Basic " + base64.b64encode(f"{auth.username}:{auth.password}".encode()).decode()


def _header_value(token: str) -> str:
    if _UNSAFE.search(token) or not token.isascii():
        raise RegistryForbidden("refuse bearer token with control characters")
    return token

"""Searching a registry: ``GET /v1/search`` of the old index protocol, which docker.io and few others answer."""

from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlencode

import msgspec

from wherry.errors import InvalidParameter
from wherry.registry.auth import basic_authorization
from wherry.registry.credentials import AuthConfig
from wherry.registry.endpoints import search_endpoint
from wherry.registry.errors import RegistryError
from wherry.registry.transport import Timeouts, Transport
from wherry.settings import Settings

DEFAULT_LIMIT: Final = 25
MAX_LIMIT: Final = 100
_MAX_ANSWER_BYTES: Final = 4 << 20
_HUB: Final = "docker.io"
_FILTERS: Final = frozenset({"is-automated", "is-official", "stars"})


class Found(msgspec.Struct, frozen=True):
    """One repository, as the registry and the Engine API describe it."""

    star_count: int = 0
    is_official: bool = False
    name: str = ""
    is_automated: bool = False
    description: str | None = ""


class _Answer(msgspec.Struct, frozen=True):
    results: tuple[Found, ...] | None = None


class _Wanted:
    """Docker's filters: ``is-official``, ``is-automated`` (true or false), ``stars`` (at least)."""

    def __init__(self, filters: Mapping[str, Sequence[str]]) -> None:
        for name in filters:
            if name not in _FILTERS:
                raise InvalidParameter(f"invalid filter '{name}'")
        self._official = _flag(filters, "is-official")
        self._automated = _flag(filters, "is-automated")
        self._stars = 0
        for value in filters.get("stars", ()):
            try:
                self._stars = max(self._stars, int(value))
            except ValueError:
                raise InvalidParameter(f"invalid filter 'stars={value}'") from None

    def passes(self, found: Found) -> bool:
        return (
            found.star_count >= self._stars
            and (self._official is None or found.is_official is self._official)
            and (self._automated is None or found.is_automated is self._automated)
        )


def search(
    settings: Settings,
    term: str,
    *,
    limit: int | None = None,
    filters: Mapping[str, Sequence[str]] | None = None,
    auth: AuthConfig | None = None,
    timeouts: Timeouts | None = None,
) -> list[Found]:
    """Ask the registry that ``term`` begins with, else docker.io. Raises InvalidParameter, RegistryError
    (``Unexpected status code 404``: it knows no search), ConnectionFailed.
    """
    wanted = _Wanted(filters or {})
    count = DEFAULT_LIMIT if limit is None or limit == 0 else limit
    if not 1 <= count <= MAX_LIMIT:
        raise InvalidParameter(f"limit {count} is outside the range of [1, {MAX_LIMIT}]")
    if "://" in term:
        raise InvalidParameter(f"invalid repository name: repository name ({term}) should not have a scheme")
    domain, remote = _split(term)
    transport = Transport(search_endpoint(domain, settings), timeouts)
    sent = {"Accept": "application/json", "X-Docker-Token": "true"}
    authorization = basic_authorization(auth) if auth is not None and auth.username else ""
    path = f"/v1/search?{urlencode({'q': remote, 'n': count})}"
    try:
        with transport.request("GET", path, sent, authorization=authorization) as response:
            data = response.read_all(_MAX_ANSWER_BYTES)
            if response.status != 200:
                raise RegistryError(f"Unexpected status code {response.status}")
    finally:
        transport.close()
    if len(data) > _MAX_ANSWER_BYTES:
        raise RegistryError(f"search: an answer of more than {_MAX_ANSWER_BYTES} bytes")
    try:
        results = msgspec.json.decode(data, type=_Answer).results or ()
    except msgspec.DecodeError as exc:
        raise RegistryError(f"error decoding registry search results: {exc}") from exc
    return [found for found in results if wanted.passes(found)]


def _split(term: str) -> tuple[str, str]:
    first, slash, rest = term.partition("/")
    if slash and (any(char in first for char in ".:") or first == "localhost"):
        domain, remote = first, rest
    else:
        domain, remote = _HUB, term
    if domain in ("index.docker.io", _HUB):
        return _HUB, remote.removeprefix("library/")
    return domain, remote


def _flag(filters: Mapping[str, Sequence[str]], name: str) -> bool | None:
    values = filters.get(name, ())
    if not values:
        return None
    if set(values) in ({"true"}, {"1"}):
        return True
    if set(values) in ({"false"}, {"0"}):
        return False
    raise InvalidParameter(f"invalid filter '{name}=[{' '.join(values)}]'")

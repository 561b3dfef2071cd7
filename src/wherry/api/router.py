"""Finds the route of a request: method, optional ``/v1.xx`` prefix, path pattern.

A pattern is a path with parameters, ``/containers/{id}/json``; ``{name:path}`` may contain slashes (image names).
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from wherry.api.request import ApiVersion, Request
from wherry.api.response import API_VERSION, MIN_API_VERSION, Response
from wherry.errors import InvalidParameter, NotFound

S = TypeVar("S")

BoundHandler = Callable[[Request], Response | None]

_VERSION = re.compile(r"/v(\d{1,4})\.(\d{1,4})(/.*)")
_PARAMETER = re.compile(r"\{(\w+)(:path)?\}")


@dataclass(frozen=True, slots=True)
class Route(Generic[S]):
    """One endpoint: what its handler needs of the engine is ``S``.

    The handler returns a whole answer, or None when it has streamed or hijacked.
    """

    method: str
    pattern: str
    handler: Callable[[S, Request], Response | None]


class Router:
    """A table of routes; the first that matches wins. Filled before the server starts."""

    def __init__(self) -> None:
        # Buckets by method and first path segment keep a look-up to a handful of regex matches.
        self._buckets: dict[tuple[str, str], list[tuple[re.Pattern[str], BoundHandler]]] = {}
        self.routes: list[tuple[str, str]] = []  # (method, pattern), in the order of the look-up

    def add(self, context: S, routes: Iterable[Route[S]]) -> None:
        """Add a group of routes with the part of the engine that it works on."""
        for route in routes:
            key = (route.method, route.pattern.split("/", 2)[1])
            self.routes.append((route.method, route.pattern))
            self._buckets.setdefault(key, []).append((_compile(route.pattern), partial(route.handler, context)))

    def find(self, method: str, path: str) -> tuple[BoundHandler, ApiVersion, Mapping[str, str]]:
        """The handler, the API version (ours when the path names none) and the path's parameters.

        Raises InvalidParameter for a version that is too old or too new, NotFound for everything unknown.
        """
        version = API_VERSION
        if prefixed := _VERSION.fullmatch(path):
            version = (int(prefixed[1]), int(prefixed[2]))
            path = prefixed[3]
            _check_version(version)
        for pattern, handler in self._buckets.get((method, path.split("/", 2)[1] if "/" in path else ""), ()):
            if match := pattern.fullmatch(path):
                return handler, version, match.groupdict()
        raise NotFound("page not found")


def _compile(pattern: str) -> re.Pattern[str]:
    parts = []
    end = 0
    for parameter in _PARAMETER.finditer(pattern):
        parts.append(re.escape(pattern[end : parameter.start()]))
        parts.append(f"(?P<{parameter[1]}>{'.+' if parameter[2] else '[^/]+'})")
        end = parameter.end()
    parts.append(re.escape(pattern[end:]))
    return re.compile("".join(parts))


def _check_version(version: ApiVersion) -> None:
    text = f"{version[0]}.{version[1]}"
    if version < MIN_API_VERSION:
        raise InvalidParameter(
            f"client version {text} is too old. Minimum supported API version is "
            f"{MIN_API_VERSION[0]}.{MIN_API_VERSION[1]}, please upgrade your client to a newer version"
        )
    if version > API_VERSION:
        raise InvalidParameter(
            f"client version {text} is too new. Maximum supported API version is {API_VERSION[0]}.{API_VERSION[1]}"
        )

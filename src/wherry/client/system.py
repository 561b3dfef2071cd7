"""The engine itself: version, info, events, disk usage, credentials."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from wherry.client.containers import Filters
    from wherry.client.transport import Query, Transport


class System:
    """The system group of one engine."""

    __slots__ = ("_transport",)

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def ping(self) -> dict[str, str]:
        """The answer's headers: Api-Version, Ostype, Builder-Version (names in lower case)."""
        response = self._transport.request("GET", "/_ping")
        response.read()
        return response.headers

    def version(self) -> "dict[str, Any]":
        document: dict[str, Any] = self._transport.request("GET", "/version").json()
        return document

    def info(self) -> "dict[str, Any]":
        document: dict[str, Any] = self._transport.request("GET", "/info").json()
        return document

    def disk_usage(self) -> "dict[str, Any]":
        document: dict[str, Any] = self._transport.request("GET", "/system/df").json()
        return document

    def events(
        self, *, since: str = "", until: str = "", filters: "Filters | None" = None
    ) -> "Iterator[dict[str, Any]]":
        """Events as they happen, or up to ``until``. Times are unix seconds with a fraction."""
        query: Query = {"since": since or None, "until": until or None, "filters": filters or None}
        return self._transport.request("GET", "/events", query=query).json_lines()

    def check_credentials(self, credentials: "dict[str, str]") -> "dict[str, Any]":
        """Ask the engine to log in: ``{"Status": …, "IdentityToken": …}``."""
        answer: dict[str, Any] | None = self._transport.request("POST", "/auth", body=credentials).json()
        return answer or {}

"""``/networks``: one method an endpoint."""

from wherry.client.transport import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.client.containers import Filters
    from wherry.client.transport import Query, Transport


class Networks:
    """The network group of one engine."""

    __slots__ = ("_transport",)

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def list(self, *, filters: "Filters | None" = None) -> "list[dict[str, Any]]":
        query: Query = {"filters": filters or None}
        networks: list[dict[str, Any]] = self._transport.request("GET", "/networks", query=query).json()
        return networks

    def inspect(self, ref: str, *, verbose: bool = False) -> "dict[str, Any]":
        query: Query = {"verbose": verbose or None}
        document: dict[str, Any] = self._transport.request("GET", f"/networks/{quote(ref)}", query=query).json()
        return document

    def create(self, config: "dict[str, Any]") -> "dict[str, Any]":
        """``{"Id": …, "Warning": …}``."""
        created: dict[str, Any] = self._transport.request("POST", "/networks/create", body=config).json()
        return created

    def remove(self, ref: str) -> None:
        self._transport.request("DELETE", f"/networks/{quote(ref)}").read()

    def connect(self, ref: str, container: str, endpoint: "dict[str, Any] | None" = None) -> None:
        body = {"Container": container, "EndpointConfig": endpoint or {}}
        self._transport.request("POST", f"/networks/{quote(ref)}/connect", body=body).read()

    def disconnect(self, ref: str, container: str, *, force: bool = False) -> None:
        body = {"Container": container, "Force": force}
        self._transport.request("POST", f"/networks/{quote(ref)}/disconnect", body=body).read()

    def prune(self, filters: "Filters | None" = None) -> "dict[str, Any]":
        """``{"NetworksDeleted": […]}``."""
        report: dict[str, Any] = self._transport.request(
            "POST", "/networks/prune", query={"filters": filters or None}
        ).json()
        return report

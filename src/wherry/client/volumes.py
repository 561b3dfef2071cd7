"""``/volumes``: one method an endpoint."""

from wherry.client.transport import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.client.containers import Filters
    from wherry.client.transport import Query, Transport


class Volumes:
    """The volume group of one engine."""

    __slots__ = ("_transport",)

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def list(self, *, filters: "Filters | None" = None) -> "dict[str, Any]":
        """``{"Volumes": […], "Warnings": […]}``."""
        query: Query = {"filters": filters or None}
        answer: dict[str, Any] = self._transport.request("GET", "/volumes", query=query).json()
        return answer

    def inspect(self, name: str) -> "dict[str, Any]":
        document: dict[str, Any] = self._transport.request("GET", f"/volumes/{quote(name)}").json()
        return document

    def create(
        self,
        name: str = "",
        *,
        driver: str = "",
        options: "dict[str, str] | None" = None,
        labels: "dict[str, str] | None" = None,
    ) -> "dict[str, Any]":
        body = {"Name": name, "Driver": driver, "DriverOpts": options or {}, "Labels": labels or None}
        volume: dict[str, Any] = self._transport.request("POST", "/volumes/create", body=body).json()
        return volume

    def remove(self, name: str, *, force: bool = False) -> None:
        query: Query = {"force": force or None}
        self._transport.request("DELETE", f"/volumes/{quote(name)}", query=query).read()

    def prune(self, filters: "Filters | None" = None) -> "dict[str, Any]":
        """``{"VolumesDeleted": […], "SpaceReclaimed": …}``."""
        report: dict[str, Any] = self._transport.request(
            "POST", "/volumes/prune", query={"filters": filters or None}
        ).json()
        return report

"""``/images``: one method an endpoint. Progress streams are Docker's jsonmessage objects."""

from wherry.client.transport import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from wherry.client.containers import Filters, Names, Rows
    from wherry.client.response import Response
    from wherry.client.transport import Query, Transport


class Images:
    """The image group of one engine. ``ref`` is a reference, an id or the start of an id."""

    __slots__ = ("_transport",)

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def list(self, *, all: bool = False, digests: bool = False, filters: "Filters | None" = None) -> "Rows":
        query: Query = {"all": all or None, "digests": digests or None, "filters": filters or None}
        summaries: Rows = self._transport.request("GET", "/images/json", query=query).json()
        return summaries

    def inspect(self, ref: str) -> "dict[str, Any]":
        document: dict[str, Any] = self._transport.request("GET", _path(ref, "json")).json()
        return document

    def history(self, ref: str) -> "Rows":
        rows: Rows = self._transport.request("GET", _path(ref, "history")).json()
        return rows

    def pull(
        self, repository: str, tag: str, *, platform: str = "", registry_auth: str = ""
    ) -> "Iterator[dict[str, Any]]":
        """Pull; ``tag`` may be a digest, empty means every tag. The iterator must be read to its end."""
        query: Query = {"fromImage": repository, "tag": tag or None, "platform": platform or None}
        headers = {"X-Registry-Auth": registry_auth} if registry_auth else {}
        return self._transport.request("POST", "/images/create", query=query, headers=headers).json_lines()

    def push(
        self, repository: str, tag: str, *, platform: str = "", registry_auth: str
    ) -> "Iterator[dict[str, Any]]":
        """Push; an empty ``tag`` means every tag. ``platform`` is an OCI platform as JSON."""
        headers = {"X-Registry-Auth": registry_auth}
        query: Query = {"tag": tag or None, "platform": platform or None}
        path = f"/images/{quote(repository, b'/:')}/push"
        return self._transport.request("POST", path, query=query, headers=headers).json_lines()

    def search(
        self, term: str, *, limit: int = 0, filters: "Filters | None" = None, registry_auth: str = ""
    ) -> "Rows":
        """What a registry, docker.io if the term names none, finds for a term."""
        query: Query = {"term": term, "limit": str(limit) if limit else None, "filters": filters or None}
        headers = {"X-Registry-Auth": registry_auth} if registry_auth else {}
        rows: Rows = self._transport.request("GET", "/images/search", query=query, headers=headers).json()
        return rows

    def import_(
        self,
        source: str,
        content: "Iterable[bytes] | bytes | None" = None,
        *,
        repository: str = "",
        tag: str = "",
        message: str = "",
        changes: "Names | None" = None,
        platform: str = "",
    ) -> "Iterator[dict[str, Any]]":
        """An image of one layer from a tar stream (``source`` is ``-``) or a URL that the engine fetches."""
        query: Query = {
            "fromSrc": source,
            "repo": repository or None,
            "tag": tag or None,
            "message": message or None,
            "changes": changes or None,
            "platform": platform or None,
        }
        headers = {"Content-Type": "text/plain"}
        response = self._transport.request(
            "POST", "/images/create", query=query, content=content, headers=headers if content is not None else None
        )
        return response.json_lines()

    def load(self, content: "Iterable[bytes]", *, quiet: bool = False, platform: str = "") -> "Response":
        """Load an archive (docker's or OCI's); the answer is a progress stream."""
        query: Query = {"quiet": quiet, "platform": platform or None}
        headers = {"Content-Type": "application/x-tar"}
        return self._transport.request("POST", "/images/load", query=query, content=content, headers=headers)

    def save(self, refs: "Names", *, platform: str = "") -> "Response":
        """A docker archive of the images as a tar stream."""
        query: Query = {"names": refs, "platform": platform or None}
        return self._transport.request("GET", "/images/get", query=query)

    def tag(self, ref: str, repository: str, tag: str) -> None:
        self._transport.request("POST", _path(ref, "tag"), query={"repo": repository, "tag": tag or None}).read()

    def remove(self, ref: str, *, force: bool = False, no_prune: bool = False) -> "Rows":
        """``[{"Untagged": …} | {"Deleted": …}, …]``."""
        query: Query = {"force": force or None, "noprune": no_prune or None}
        path = f"/images/{quote(ref, b'/:@')}"
        rows: Rows | None = self._transport.request("DELETE", path, query=query).json()
        return rows or []

    def prune(self, filters: "Filters | None" = None) -> "dict[str, Any]":
        """``{"ImagesDeleted": […], "SpaceReclaimed": …}``."""
        report: dict[str, Any] = self._transport.request(
            "POST", "/images/prune", query={"filters": filters or None}
        ).json()
        return report


def _path(ref: str, verb: str) -> str:
    return f"/images/{quote(ref, b'/:@')}/{verb}"

"""``/containers``: one method an endpoint. Documents are the API's own, as dicts (Engine API 1.51)."""

from wherry.client.transport import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from wherry.client.response import Response
    from wherry.client.transport import PendingAnswer, Query, Transport

    Filters = dict[str, dict[str, bool]]
    Rows = list[dict[str, Any]]
    Names = list[str]


class Containers:
    """The container group of one engine. ``ref`` is a name, an id or the start of an id."""

    __slots__ = ("_transport",)

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def create(self, config: "dict[str, Any]", *, name: str = "", platform: str = "") -> "dict[str, Any]":
        """``{"Id": …, "Warnings": […]}``. ``config`` is ContainerConfig with HostConfig and NetworkingConfig."""
        query: Query = {"name": name or None, "platform": platform or None}
        created: dict[str, Any] = self._transport.request(
            "POST", "/containers/create", query=query, body=config
        ).json()
        return created

    def start(self, ref: str, *, detach_keys: str = "") -> None:
        """Start it; already running is no error."""
        query: Query = {"detachKeys": detach_keys or None}
        self._transport.request("POST", _path(ref, "start"), query=query, accept_not_modified=True).read()

    def stop(self, ref: str, *, timeout_seconds: int | None = None, signal: str = "") -> None:
        query: Query = {"t": timeout_seconds, "signal": signal or None}
        self._transport.request("POST", _path(ref, "stop"), query=query, accept_not_modified=True).read()

    def restart(self, ref: str, *, timeout_seconds: int | None = None, signal: str = "") -> None:
        query: Query = {"t": timeout_seconds, "signal": signal or None}
        self._transport.request("POST", _path(ref, "restart"), query=query).read()

    def kill(self, ref: str, *, signal: str = "") -> None:
        self._transport.request("POST", _path(ref, "kill"), query={"signal": signal or None}).read()

    def pause(self, ref: str) -> None:
        self._transport.request("POST", _path(ref, "pause")).read()

    def unpause(self, ref: str) -> None:
        self._transport.request("POST", _path(ref, "unpause")).read()

    def rename(self, ref: str, name: str) -> None:
        self._transport.request("POST", _path(ref, "rename"), query={"name": name}).read()

    def update(self, ref: str, resources: "dict[str, Any]") -> list[str]:
        """Change limits or the restart policy; gives the warnings."""
        answer = self._transport.request("POST", _path(ref, "update"), body=resources).json()
        return list((answer or {}).get("Warnings") or [])

    def remove(self, ref: str, *, force: bool = False, volumes: bool = False, link: bool = False) -> None:
        query: Query = {"force": force or None, "v": volumes or None, "link": link or None}
        self._transport.request("DELETE", f"/containers/{quote(ref)}", query=query).read()

    def list(
        self, *, all: bool = False, limit: int | None = None, size: bool = False, filters: "Filters | None" = None
    ) -> "Rows":
        """Summaries, newest first."""
        query: Query = {"all": all or None, "limit": limit, "size": size or None, "filters": filters or None}
        summaries: Rows = self._transport.request("GET", "/containers/json", query=query).json()
        return summaries

    def inspect(self, ref: str, *, size: bool = False) -> "dict[str, Any]":
        query: Query = {"size": size or None}
        document: dict[str, Any] = self._transport.request("GET", _path(ref, "json"), query=query).json()
        return document

    def begin_wait(self, ref: str, condition: str = "not-running") -> "PendingAnswer":
        """Ask to be told of the exit. Once the head is read the engine watches; the body comes at the exit."""
        return self._transport.begin("POST", _path(ref, "wait"), query={"condition": condition})

    def wait(self, ref: str, condition: str = "not-running") -> "dict[str, Any]":
        """``{"StatusCode": …, "Error": …}`` once the condition holds."""
        result: dict[str, Any] = self.begin_wait(ref, condition).answer().json()
        return result

    def begin_attach(
        self,
        ref: str,
        *,
        stdin: bool = False,
        stdout: bool = False,
        stderr: bool = False,
        logs: bool = False,
        detach_keys: str = "",
    ) -> "PendingAnswer":
        """Ask for the raw stream; ``answer().detach()`` gives it."""
        query: Query = {
            "stream": True,
            "stdin": stdin or None,
            "stdout": stdout or None,
            "stderr": stderr or None,
            "logs": logs or None,
            "detachKeys": detach_keys or None,
        }
        return self._transport.begin("POST", _path(ref, "attach"), query=query, upgrade=True)

    def resize(self, ref: str, height: int, width: int) -> None:
        self._transport.request("POST", _path(ref, "resize"), query={"h": height, "w": width}).read()

    def logs(
        self,
        ref: str,
        *,
        stdout: bool = True,
        stderr: bool = True,
        follow: bool = False,
        since: str = "",
        until: str = "",
        timestamps: bool = False,
        tail: str = "",
        details: bool = False,
    ) -> "Response":
        """The log as a stream: framed, or raw if the container has a terminal."""
        query: Query = {
            "stdout": stdout or None,
            "stderr": stderr or None,
            "follow": follow or None,
            "since": since or None,
            "until": until or None,
            "timestamps": timestamps or None,
            "tail": tail or None,
            "details": details or None,
        }
        return self._transport.request("GET", _path(ref, "logs"), query=query)

    def top(self, ref: str, ps_args: str = "") -> "dict[str, Any]":
        """``{"Titles": […], "Processes": [[…], …]}``."""
        query: Query = {"ps_args": ps_args or None}
        table: dict[str, Any] = self._transport.request("GET", _path(ref, "top"), query=query).json()
        return table

    def stats(self, ref: str, *, stream: bool = True, one_shot: bool = False) -> "Iterator[dict[str, Any]]":
        """Samples, one a second; a single one without ``stream``."""
        query: Query = {"stream": stream, "one-shot": one_shot or None}
        return self._transport.request("GET", _path(ref, "stats"), query=query).json_lines()

    def changes(self, ref: str) -> "Rows":
        """``[{"Path": …, "Kind": 0 changed, 1 added, 2 deleted}, …]``."""
        changes: Rows | None = self._transport.request("GET", _path(ref, "changes")).json()
        return changes or []

    def export(self, ref: str) -> "Response":
        """The file system as a tar stream."""
        return self._transport.request("GET", _path(ref, "export"))

    def commit(
        self,
        ref: str,
        *,
        repository: str = "",
        tag: str = "",
        message: str = "",
        author: str = "",
        changes: "Names | None" = None,
        pause: bool = True,
    ) -> str:
        """Make an image of it; gives the image's id."""
        query: Query = {
            "container": ref,
            "repo": repository or None,
            "tag": tag or None,
            "comment": message or None,
            "author": author or None,
            "changes": changes or None,
            "pause": pause,
        }
        return str(self._transport.request("POST", "/commit", query=query, body={}).json()["Id"])

    def stat_path(self, ref: str, path: str) -> "dict[str, Any]":
        """``{"name", "size", "mode" (Go's), "mtime", "linkTarget"}`` of a path inside."""
        response = self._transport.request("HEAD", _path(ref, "archive"), query={"path": path})
        return path_stat(response)

    def get_archive(self, ref: str, path: str) -> "Response":
        """The path as a tar stream; :func:`path_stat` reads its stat from the answer."""
        return self._transport.request("GET", _path(ref, "archive"), query={"path": path})

    def put_archive(
        self, ref: str, path: str, content: "Iterable[bytes]", *, no_overwrite: bool = False, copy_owner: bool = False
    ) -> None:
        """Unpack a tar stream into the directory ``path``."""
        query: Query = {
            "path": path,
            "noOverwriteDirNonDir": no_overwrite or None,
            "copyUIDGID": copy_owner or None,
        }
        headers = {"Content-Type": "application/x-tar"}
        self._transport.request("PUT", _path(ref, "archive"), query=query, content=content, headers=headers).read()

    def prune(self, filters: "Filters | None" = None) -> "dict[str, Any]":
        """``{"ContainersDeleted": […], "SpaceReclaimed": …}``."""
        report: dict[str, Any] = self._transport.request(
            "POST", "/containers/prune", query={"filters": filters or None}
        ).json()
        return report


def path_stat(response: "Response") -> "dict[str, Any]":
    """The X-Docker-Container-Path-Stat header of an archive answer."""
    from base64 import b64decode  # start-up cost: only cp

    from wherry.client import json_codec

    stat: dict[str, Any] = json_codec.loads(b64decode(response.headers["x-docker-container-path-stat"]))
    return stat


def _path(ref: str, verb: str) -> str:
    return f"/containers/{quote(ref)}/{verb}"

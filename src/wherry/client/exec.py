"""``/exec``: a further process in a running container."""

from wherry.client.transport import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.client.transport import PendingAnswer, Transport


class Exec:
    """The exec group of one engine."""

    __slots__ = ("_transport",)

    def __init__(self, transport: "Transport") -> None:
        self._transport = transport

    def create(self, container: str, config: "dict[str, Any]") -> str:
        """``config`` is the API's ExecConfig; gives the exec's id."""
        path = f"/containers/{quote(container)}/exec"
        return str(self._transport.request("POST", path, body=config).json()["Id"])

    def start_detached(self, exec_id: str, *, tty: bool = False) -> None:
        body = {"Detach": True, "Tty": tty}
        self._transport.request("POST", f"/exec/{quote(exec_id)}/start", body=body).read()

    def begin_start(self, exec_id: str, *, tty: bool = False, size: tuple[int, int] | None = None) -> "PendingAnswer":
        """Start it attached; ``answer().detach()`` gives the raw stream. ``size`` is (height, width)."""
        body: dict[str, Any] = {"Detach": False, "Tty": tty}
        if size is not None:
            body["ConsoleSize"] = list(size)
        return self._transport.begin("POST", f"/exec/{quote(exec_id)}/start", body=body, upgrade=True)

    def inspect(self, exec_id: str) -> "dict[str, Any]":
        document: dict[str, Any] = self._transport.request("GET", f"/exec/{quote(exec_id)}/json").json()
        return document

    def resize(self, exec_id: str, height: int, width: int) -> None:
        query = {"h": height, "w": width}
        self._transport.request("POST", f"/exec/{quote(exec_id)}/resize", query=query).read()

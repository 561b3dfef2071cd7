"""The exit of a container, asked for before it starts, so that the shortest life is not missed.

Survives the engine: if the connection drops, the question is asked again of the next engine.
"""

import select

from wherry.cli.app import App
from wherry.client.errors import ConnectionLost
from wherry.errors import NotFound, Unavailable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from wherry.cli.signal_relay import SignalRelay
    from wherry.client.response import Response

_UNKNOWN = 125
_ATTEMPTS = 20
_PAUSE_SECONDS = 0.5


class ExitWatch:
    """The request is sent at once; ``ready`` reads its head, ``result`` waits for the exit."""

    def __init__(self, app: App, container_id: str, *, removed: bool, running: bool = False) -> None:
        self._app = app
        self._id = container_id
        self._removed = removed
        condition = "removed" if removed else "not-running" if running else "next-exit"
        self._pending = app.containers.begin_wait(container_id, condition)
        self._response: Response | None = None

    def ready(self) -> None:
        """The engine watches from here on."""
        self._response = self._pending.answer()

    def close(self) -> None:
        """Stop watching."""
        if self._response is not None:
            self._response.close()
        else:
            self._pending.abandon()

    def result(self, relay: "SignalRelay") -> int:
        """The exit code; 125 if the engine cannot tell it. Signals go on being relayed meanwhile."""
        for _ in range(_ATTEMPTS):
            try:
                if self._response is None:
                    condition = "removed" if self._removed else "not-running"
                    self._response = self._app.containers.begin_wait(self._id, condition).answer()
                return self._report(self._answer(self._response, relay))
            except NotFound:
                self._app.err(f"wait for container {self._id[:12]}: it was removed before its exit code was read")
                return _UNKNOWN
            except (ConnectionLost, Unavailable):
                self._response = None
                relay.wait({}, _PAUSE_SECONDS)
        self._app.err(f"wait for container {self._id[:12]}: the engine does not come back")
        return _UNKNOWN

    def _answer(self, response: "Response", relay: "SignalRelay") -> "dict[str, Any]":
        connection = response.connection
        while connection is not None and not connection.buffer:
            if relay.wait({connection.sock.fileno(): select.POLLIN}):
                break
        answer: dict[str, Any] | None = response.json()
        if answer is None:
            raise ConnectionLost("read the exit code: the answer is empty")
        return answer

    def _report(self, answer: "dict[str, Any]") -> int:
        error = answer.get("Error")
        if error and error.get("Message"):
            self._app.err(f"Error waiting for container: {error['Message']}")
            return _UNKNOWN
        return int(answer["StatusCode"])

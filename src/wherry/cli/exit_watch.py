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
    """The request is sent at once; ``ready`` reads its head, ``result`` waits for the exit.

    Whoever polls other descriptors meanwhile adds :attr:`descriptor` and calls :meth:`notice` when it is readable:
    a question that was cut off is then asked again while the container still runs. With ``--rm`` nobody could
    answer it later.
    """

    def __init__(self, app: App, container_id: str, *, removed: bool, running: bool = False) -> None:
        self._app = app
        self._id = container_id
        self._again = "removed" if removed else "not-running"
        first = self._again if removed or running else "next-exit"
        self._pending = app.containers.begin_wait(container_id, first)
        self._response: Response | None = None
        self._answer: dict[str, Any] | None = None

    def ready(self) -> None:
        """The engine watches from here on."""
        self._response = self._pending.answer()

    def close(self) -> None:
        """Stop watching."""
        if self._response is not None:
            self._response.close()
        else:
            self._pending.abandon()

    @property
    def descriptor(self) -> int:
        """What becomes readable when there is something to notice; -1 once there is nothing any more."""
        connection = self._response.connection if self._response is not None else None
        return connection.sock.fileno() if connection is not None and self._answer is None else -1

    def notice(self) -> None:
        """Take the answer, or ask again if the engine went away."""
        try:
            self._read()
        except (ConnectionLost, Unavailable):
            try:
                self._ask_again()
            except NotFound:
                pass  # gone already: result() asks once more and says so

    def _read(self) -> None:
        if self._response is None:
            raise ConnectionLost("read the exit code: the engine is away")
        answer: dict[str, Any] | None = self._response.json()
        if answer is None:
            raise ConnectionLost("read the exit code: the answer is empty")
        self._answer = answer

    def _ask_again(self) -> None:
        self._response = None
        try:
            self._response = self._app.containers.begin_wait(self._id, self._again).answer()
        except (ConnectionLost, Unavailable):
            pass  # not back yet: result() goes on asking

    def result(self, relay: "SignalRelay") -> int:
        """The exit code; 125 if the engine cannot tell it. Signals go on being relayed meanwhile."""
        for attempt in range(_ATTEMPTS):
            try:
                if self._answer is None and self._response is None:
                    if attempt:
                        relay.wait({}, _PAUSE_SECONDS)
                    self._ask_again()
                if self._answer is None:
                    self._wait_readable(relay)
                    self._read()
            except NotFound:
                self._app.err(f"wait for container {self._id[:12]}: it was removed before its exit code was read")
                return _UNKNOWN
            except (ConnectionLost, Unavailable):
                self._response = None
            if self._answer is not None:
                return self._report(self._answer)
        self._app.err(f"wait for container {self._id[:12]}: the engine does not come back")
        return _UNKNOWN

    def _wait_readable(self, relay: "SignalRelay") -> None:
        connection = self._response.connection if self._response is not None else None
        while connection is not None and not connection.buffer:
            if relay.wait({connection.sock.fileno(): select.POLLIN}):
                return

    def _report(self, answer: "dict[str, Any]") -> int:
        error = answer.get("Error")
        if error and error.get("Message"):
            self._app.err(f"Error waiting for container: {error['Message']}")
            return _UNKNOWN
        return int(answer["StatusCode"])

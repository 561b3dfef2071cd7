"""JSON streams: one object after the other, each sent at once (progress of a pull, events, stats)."""

from typing import Any

import msgspec

from wherry.api.errors import ClientGone, message_of
from wherry.api.request import Request
from wherry.api.response import JSON
from wherry.errors import WherryError
from wherry.log import get_logger

logger = get_logger(__name__)


class JsonStream:
    """Objects as JSON lines, CR LF behind each as Docker's progress writer does.

    As a context manager it ends the answer. An error before the first object is left to the server, which
    answers with its status; after that it becomes a last ``errorDetail`` object, as clients expect.
    """

    def __init__(self, request: Request, *, line_end: bytes = b"\n", content_type: str = JSON) -> None:
        self._request = request
        self._line_end = line_end
        self._stream = request.stream(content_type)

    def start(self) -> None:
        """Send the head before there is an object."""
        self._stream.start()

    def write(self, value: dict[str, Any]) -> None:
        """Send one object."""
        self._stream.write(msgspec.json.encode(value) + self._line_end)

    def __enter__(self) -> "JsonStream":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> bool:
        if error is None:
            self._stream.end()
            return False
        if not self._request.started or not isinstance(error, Exception) or isinstance(error, ClientGone):
            return False
        if not isinstance(error, WherryError):
            logger.error("%s %s", self._request.method, self._request.path, exc_info=error)
        message = message_of(error)
        self.write({"errorDetail": {"message": message}, "error": message})
        self._stream.end()
        return True


def progress_stream(request: Request) -> JsonStream:
    """The stream of pull, push, load, import and build."""
    return JsonStream(request, line_end=b"\r\n")

"""An engine for the command line's tests: one image, containers that print and exit as told. Not a kernel in sight."""

import threading
from dataclasses import dataclass, field
from typing import Any

from tests.client.fake_engine import Request


@dataclass
class ContainerEngine:
    """Every container prints ``output`` (already framed) and exits with ``code``; faults are switched on by name."""

    output: bytes = b""
    code: int = 0
    image_present: bool = True
    start_error: str = ""
    drop_waits: int = 0
    forgetful: bool = False
    echo: bool = False
    created: list[dict[str, Any]] = field(default_factory=list)
    verbs: list[str] = field(default_factory=list)
    killed: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._started = threading.Event()
        self._ended = threading.Event()
        self._asked_again = threading.Event()

    def __call__(self, request: Request) -> bool:
        verb = request.path.strip("/").split("/")[-1]
        self.verbs.append(verb)
        answer = getattr(self, f"_{verb}", None)
        if answer is None:
            request.answer(404, {"message": f"page not found: {request.path}"})
            return True
        return bool(answer(request) is not False)

    def _create(self, request: Request) -> None:
        if request.path == "/images/create":
            request.chunked_head()
            request.chunk(b'{"status":"Pulling from library/busybox","id":"latest"}\n')
            request.chunk(b'{"status":"Download complete","id":"abc","progressDetail":{}}\n')
            request.raw(b"0\r\n\r\n")
            self.image_present = True
        elif self.image_present:
            self.created.append(request.document())
            request.answer(201, {"Id": "c0ffee" + "0" * 58, "Warnings": ["old kernel"]})
        else:
            request.answer(404, {"message": "No such image: busybox:latest"})

    def _attach(self, request: Request) -> bool:
        request.upgrade()
        self._started.wait(5)
        if self.echo:
            while data := request.sock.recv(65536):
                request.raw(b"\x01\0\0\0" + len(data).to_bytes(4, "big") + data)
        if self.forgetful:
            self._asked_again.wait(5)
        request.raw(self.output)
        self._ended.set()
        return False

    def _wait(self, request: Request) -> bool:
        if self.forgetful:
            return self._wait_forgetfully(request)
        request.chunked_head()
        if self.drop_waits:
            self.drop_waits -= 1
            self._ended.wait(5)
            return False
        self._ended.wait(5)
        request.chunk(b'{"StatusCode":%d}\n' % self.code)
        request.raw(b"0\r\n\r\n")
        return True

    def _wait_forgetfully(self, request: Request) -> bool:
        """The engine dies under the first question, and knows nothing any more once the container has ended."""
        if self._ended.is_set():
            request.answer(404, {"message": "No such container"})
            return True
        request.chunked_head()
        if self.verbs.count("wait") == 1:
            self._started.wait(5)
            return False
        self._asked_again.set()
        self._ended.wait(5)
        request.chunk(b'{"StatusCode":%d}\n' % self.code)
        request.raw(b"0\r\n\r\n")
        return True

    def _start(self, request: Request) -> None:
        self._started.set()
        if self.start_error:
            self._ended.set()
            request.answer(400, {"message": self.start_error})
        else:
            request.answer(204)

    def _kill(self, request: Request) -> None:
        self.killed.append(request.query)
        request.answer(204)

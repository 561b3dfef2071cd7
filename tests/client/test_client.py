from collections.abc import Callable

import pytest

from tests.client.fake_engine import FakeEngine, Handler, Request
from wherry import Client
from wherry.client.client import ContainerFailed

Serve = Callable[[Handler], FakeEngine]


def _runs(code: int, output: bytes, *, missing_image: bool = False) -> Handler:
    """An engine on which every container prints ``output`` and leaves with ``code``."""
    state = {"image": not missing_image}

    def handler(request: Request) -> bool:
        verb = request.path.rpartition("/")[2]
        if request.path == "/images/create":
            state["image"] = True
            request.answer(200, {"status": "Pulling"})
        elif verb == "create" and not state["image"]:
            request.answer(404, {"message": "No such image: busybox:latest"})
        elif verb == "create":
            request.answer(201, {"Id": "c0ffee", "Warnings": []})
        elif verb == "attach":
            request.upgrade()
            request.raw(output)
            return False
        elif verb == "wait":
            request.chunked_head()
            request.chunk(b'{"StatusCode": %d}\n' % code)
            request.raw(b"0\r\n\r\n")
        else:
            request.answer(204)
        return True

    return handler


def test_run_gives_stdout_alone(serve: Serve) -> None:
    output = b"\x01\0\0\0\0\0\0\x03out\x02\0\0\0\0\0\0\x03err"
    engine = serve(_runs(0, output))
    with Client(engine.host) as client:
        assert client.run("busybox", ["echo"], remove=True, environment={"A": "1"}) == b"out"
    created = engine.requests[0].document()
    assert created["Cmd"] == ["echo"] and created["Env"] == ["A=1"] and created["HostConfig"]["AutoRemove"]


def test_run_of_a_failing_command_raises_with_its_code_and_stderr(serve: Serve) -> None:
    engine = serve(_runs(7, b"\x02\0\0\0\0\0\0\x03bad"))
    with Client(engine.host) as client, pytest.raises(ContainerFailed, match="exit code 7: bad") as failure:
        client.run("busybox")
    assert failure.value.exit_code == 7


def test_run_pulls_an_image_that_is_missing(serve: Serve) -> None:
    engine = serve(_runs(0, b"", missing_image=True))
    with Client(engine.host) as client:
        assert client.run("busybox", remove=True) == b""
    assert [request.path for request in engine.requests[:3]] == [
        "/containers/create",
        "/images/create",
        "/containers/create",
    ]
    assert engine.requests[1].query == "fromImage=busybox&tag=latest"

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client.fake_engine import FakeEngine, Handler, Request
from wherry.client.address import Address, find_address, parse_address
from wherry.client.errors import ConnectionFailed, ConnectionLost, EngineConflict, EngineError, EngineFault
from wherry.client.transport import Transport, query_string, quote
from wherry.errors import Conflict, InvalidParameter, NotFound

Serve = Callable[[Handler], FakeEngine]
Connect = Callable[[FakeEngine], Transport]


@pytest.fixture
def transport_to() -> Iterator[Callable[[FakeEngine], Transport]]:
    """A transport to an engine, closed at the end of the test."""
    transports: list[Transport] = []

    def connect(engine: FakeEngine) -> Transport:
        transports.append(Transport(parse_address(engine.host)))
        return transports[-1]

    yield connect
    for transport in transports:
        transport.close()


def test_answers_with_a_length_share_one_connection(serve: Serve, transport_to: Connect) -> None:
    engine = serve(lambda request: request.answer(200, {"path": request.path}))
    transport = transport_to(engine)
    assert [transport.request("GET", f"/{name}").json() for name in "abc"] == [{"path": f"/{name}"} for name in "abc"]
    assert engine.connections == 1


def test_a_chunked_answer_arrives_piece_by_piece_and_frees_its_connection(
    serve: Serve, transport_to: Connect
) -> None:
    def handler(request: Request) -> None:
        request.chunked_head()
        request.chunk(b'{"a": 1}\n{"b"')
        request.chunk(b": 2}\n")
        request.raw(b"0\r\nTrailer: x\r\n\r\n")

    engine = serve(handler)
    transport = transport_to(engine)
    for _ in range(2):
        assert list(transport.request("GET", "/x").json_lines()) == [{"a": 1}, {"b": 2}]
    assert engine.connections == 1


def test_a_chunked_answer_that_is_cut_is_an_error(serve: Serve, transport_to: Connect) -> None:
    def handler(request: Request) -> bool:
        request.chunked_head()
        request.raw(b"ff\r\nabc")
        return False

    with pytest.raises(ConnectionLost, match="unexpected EOF"):
        transport_to(serve(handler)).request("GET", "/x").read()


def test_an_answer_shorter_than_its_length_is_an_error(serve: Serve, transport_to: Connect) -> None:
    def handler(request: Request) -> bool:
        request.raw(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")
        return False

    with pytest.raises(ConnectionLost, match="unexpected EOF"):
        transport_to(serve(handler)).request("GET", "/x").read()


def test_a_kept_connection_that_the_engine_closed_is_replaced(serve: Serve, transport_to: Connect) -> None:
    def handler(request: Request) -> bool:
        request.answer(200, 1)
        return False

    engine = serve(handler)
    transport = transport_to(engine)
    assert [transport.request("GET", "/x").json() for _ in range(3)] == [1, 1, 1]
    assert engine.connections == 3


def test_a_post_whose_answer_is_lost_is_not_sent_again(serve: Serve, transport_to: Connect) -> None:
    def handler(request: Request) -> bool:
        if request.path == "/first":
            request.answer(200, 1)
            return True
        return False

    engine = serve(handler)
    transport = transport_to(engine)
    transport.request("GET", "/first").read()
    with pytest.raises(ConnectionLost):
        transport.request("POST", "/create", body={})
    assert [request.path for request in engine.requests] == ["/first", "/create"]


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidParameter), (404, NotFound), (409, Conflict), (500, EngineFault), (418, EngineFault)],
)
def test_a_status_becomes_its_kind_with_the_engines_words(
    serve: Serve, transport_to: Connect, status: int, kind: type[Exception]
) -> None:
    engine = serve(lambda request: request.answer(status, {"message": "No such container: x\n"}))
    with pytest.raises(kind, match=r"^No such container: x$") as failure:
        transport_to(engine).request("GET", "/x")
    assert isinstance(failure.value, EngineError)


def test_an_error_that_is_not_json_is_shown_as_it_is(serve: Serve, transport_to: Connect) -> None:
    engine = serve(lambda request: request.answer(409, text=b"<html>busy</html>"))
    with pytest.raises(EngineConflict, match="busy"):
        transport_to(engine).request("GET", "/x")


def test_not_modified_is_an_answer_when_it_is_accepted(serve: Serve, transport_to: Connect) -> None:
    engine = serve(lambda request: request.raw(b"HTTP/1.1 304 Not Modified\r\n\r\n"))
    transport = transport_to(engine)
    assert transport.request("POST", "/x", accept_not_modified=True).status == 304
    with pytest.raises(EngineError):
        transport.request("POST", "/x")


def test_a_head_answer_has_no_body_whatever_its_length_says(serve: Serve, transport_to: Connect) -> None:
    engine = serve(lambda request: request.raw(b"HTTP/1.1 200 OK\r\nX-Stat: a\r\nContent-Length: 5\r\n\r\n"))
    transport = transport_to(engine)
    for _ in range(2):
        assert transport.request("HEAD", "/x").headers["x-stat"] == "a"
    assert engine.connections == 1


def test_a_stream_is_uploaded_in_chunks(serve: Serve, transport_to: Connect) -> None:
    engine = serve(lambda request: request.answer(200, len(request.body)))
    pieces = [b"a" * 100_000, b"", b"b" * 3]
    assert transport_to(engine).request("PUT", "/x", content=pieces).json() == 100_003


def test_an_upload_that_the_engine_refuses_half_way_gives_its_reason(tmp_path: Path) -> None:
    listener = socket.socket(socket.AF_UNIX)
    path = f"/tmp/wc-{threading.get_native_id()}.sock"
    listener.bind(path)
    listener.listen()

    def refuse() -> None:
        sock, _ = listener.accept()
        sock.recv(1000)
        sock.sendall(b'HTTP/1.1 400 Bad\r\nContent-Length: 21\r\n\r\n{"message":"no room"}')
        sock.shutdown(socket.SHUT_RD)
        sock.recv(1)
        sock.close()

    thread = threading.Thread(target=refuse)
    thread.start()

    def endless() -> Iterator[bytes]:
        for _ in range(1000):
            yield b"x" * 65536

    try:
        with pytest.raises(InvalidParameter, match="no room"):
            Transport(parse_address(f"unix://{path}")).request("POST", "/images/load", content=endless())
    finally:
        thread.join(5)
        listener.close()
        Path(path).unlink()


def test_an_upgraded_stream_goes_on_after_half_close(serve: Serve, transport_to: Connect) -> None:
    def handler(request: Request) -> bool:
        request.upgrade()
        request.raw(b"early")
        received = b""
        while data := request.sock.recv(100):
            received += data
        request.raw(received.upper())
        return False

    transport = transport_to(serve(handler))
    stream = transport.begin("POST", "/attach", upgrade=True).answer().detach()
    stream.send(b"typed")
    stream.close_write()
    assert b"".join(iter(stream.read_some, b"")) == b"earlyTYPED"
    stream.close()


def test_the_engine_is_woken_once_when_nothing_listens(serve: Serve, tmp_path: Path) -> None:
    woken: list[FakeEngine] = []
    transport: Transport

    def wake() -> None:
        woken.append(serve(lambda request: request.answer(200, "up")))
        transport.address.path = woken[0].path

    transport = Transport(Address("unix:///none", path=str(tmp_path / "none.sock"), own=True), wake)
    assert transport.request("GET", "/x").json() == "up"
    assert len(woken) == 1
    transport.close()


def test_no_engine_is_dockers_message(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/none.sock"
    with pytest.raises(
        ConnectionFailed, match=f"^Cannot connect to the Docker daemon at {host}. Is the docker daemon running"
    ):
        Transport(parse_address(host)).request("GET", "/x")


def test_an_endless_header_is_refused(serve: Serve, transport_to: Connect) -> None:
    engine = serve(lambda request: request.raw(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000))
    with pytest.raises(ConnectionLost, match="too long"):
        transport_to(engine).request("GET", "/x")


def test_something_that_is_not_http_is_refused(serve: Serve, transport_to: Connect) -> None:
    engine = serve(lambda request: request.raw(b"SSH-2.0-x\r\n"))
    with pytest.raises(ConnectionLost, match="not HTTP"):
        transport_to(engine).request("GET", "/x")


def test_names_cannot_leave_their_path_segment() -> None:
    assert quote("../x?y#z a/é") == "..%2Fx%3Fy%23z%20a%2F%C3%A9"


def test_query_values_have_the_apis_forms() -> None:
    query = {"a": None, "b": True, "c": False, "d": 5, "e": "x y", "f": ["1", "2"], "g": {"k": {"v": True}}}
    assert query_string(query) == "?b=1&c=0&d=5&e=x%20y&f=1&f=2&g=%7B%22k%22%3A%20%7B%22v%22%3A%20true%7D%7D"


@pytest.mark.parametrize(
    ("text", "path", "host", "port"),
    [
        ("unix:///a/b", "/a/b", "", 0),
        ("/a/b", "/a/b", "", 0),
        ("tcp://1.2.3.4:99", "", "1.2.3.4", 99),
        ("tcp://[::1]:99", "", "::1", 99),
        ("h", "", "h", 2375),
    ],
)
def test_addresses_are_read_as_docker_reads_them(text: str, path: str, host: str, port: int) -> None:
    address = parse_address(text)
    assert (address.path, address.host, address.port) == (path, host, port)


@pytest.mark.parametrize("text", ["ssh://host", "unix://", "tcp://h:x", "tcp://h:99999"])
def test_an_address_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(InvalidParameter, match="unable to parse docker host"):
        parse_address(text)


def test_the_host_option_comes_before_the_environment() -> None:
    environ = {"DOCKER_HOST": "unix:///d", "WHERRY_HOST": "unix:///w"}
    assert find_address("unix:///o", environ).path == "/o"
    assert find_address("", environ).path == "/w"
    assert find_address("", {"DOCKER_HOST": "unix:///d"}).path == "/d"
    own = find_address("", {})
    assert own.own and own.path.endswith("/wherry.sock")

"""S98 in small: whatever bytes come, the server answers with HTTP or closes, logs no bug and goes on."""

import logging
import socket
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.api.conftest import Served, serving

_VALID = (
    b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
    b"PUT /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
    b"GET /v1.41/images/a/b:c/json?x=1&y=%20 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n",
    b"POST /shout HTTP/1.1\r\nHost: x\r\nUpgrade: tcp\r\n\r\nhello",
)


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("fuzz")) as running:
        yield running


@st.composite
def _mutated(draw: st.DrawFn) -> bytes:
    data = bytearray(draw(st.sampled_from(_VALID)))
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, len(data)))
        match draw(st.sampled_from(("replace", "insert", "delete", "repeat"))):
            case "replace" if position < len(data):
                data[position] = draw(st.integers(0, 255))
            case "insert":
                data[position:position] = draw(
                    st.sampled_from((b"\0", b"\r", b"\n", b"\r\n", b" ", b":", b"%00", b"\xff"))
                )
            case "delete":
                del data[position : position + draw(st.integers(1, 8))]
            case _:
                data[position:position] = data[max(0, position - 8) : position]
    return bytes(data)


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.one_of(_mutated(), st.binary(max_size=300)))
@example(data=b"")
@example(data=b"GET http:// HTTP/1.1\r\nHost: x\r\n\r\n")
@example(data=b"GET * HTTP/1.1\r\nHost: x\r\n\r\n")
@example(data=b"HEAD /a%7Fb HTTP/1.1\r\nHost: x\r\n\r\n")
@example(data=b"CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n")
def test_s98_no_bytes_make_the_server_fail(fuzzed: Served, caplog: pytest.LogCaptureFixture, data: bytes) -> None:
    caplog.clear()
    with fuzzed.connect() as client:
        try:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # refused before all was sent
        answer = b"".join(iter(lambda: client.recv(65536), b""))
    assert not answer or answer.startswith((b"HTTP/1.1 1", b"HTTP/1.1 2", b"HTTP/1.1 4", b"HTTP/1.1 501"))
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


def test_no_connection_stays_after_the_storm(fuzzed: Served) -> None:
    with fuzzed.connect() as client:
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"".join(iter(lambda: client.recv(65536), b"")).endswith(b"OK")

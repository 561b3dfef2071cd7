"""Raw streams: the hijacked socket, half-close, bytes that came early, clients that reset."""

import socket
import struct
import threading
import time

import pytest

from tests.api.conftest import Served, read_answer
from tests.descriptors import open_descriptors

HOST = b"Host: engine\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: tcp\r\n"


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(4096)
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def _rest(client: socket.socket) -> bytes:
    return b"".join(iter(lambda: client.recv(65536), b""))


def test_an_upgrade_is_answered_in_dockers_bytes(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"POST /shout HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n")
        head, _ = _head(client)
    assert head == (
        b"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.raw-stream\r\n"
        b"Connection: Upgrade\r\nUpgrade: tcp"
    )


def test_without_upgrade_a_plain_200_precedes_the_stream(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"POST /shout HTTP/1.1\r\n" + HOST + b"\r\n")
        head, _ = _head(client)
        assert head == b"HTTP/1.1 200 OK\r\nContent-Type: application/vnd.docker.raw-stream"
        client.sendall(b"abc")
        client.shutdown(socket.SHUT_WR)
        assert _rest(client) == b"ABC\n3 bytes"


def test_output_still_comes_after_the_client_has_closed_its_sending_side(served: Served) -> None:
    for tcp in (False, True):
        with served.connect(tcp=tcp) as client:
            client.sendall(b"POST /shout HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE + b"Content-Length: 0\r\n\r\n")
            _head(client)
            client.sendall(b"hello")
            client.shutdown(socket.SHUT_WR)
            assert _rest(client) == b"HELLO\n5 bytes"


def test_bytes_sent_right_behind_the_request_are_not_lost(served: Served) -> None:
    with served.connect() as client:
        body = b'{"Detach":false}'
        head = (
            b"POST /shout HTTP/1.1\r\n"
            + HOST
            + UPGRADE
            + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        )
        client.sendall(head % len(body) + body + b"early input")
        client.shutdown(socket.SHUT_WR)
        _, rest = _head(client)
        assert rest + _rest(client) == b"EARLY INPUT\n11 bytes"


def test_an_upgrade_that_fails_is_a_plain_answer_and_the_connection_goes_on(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /error/missing HTTP/1.1\r\n" + HOST + UPGRADE + b"\r\n")
        assert read_answer(client).startswith(b"HTTP/1.1 404 ")
        client.sendall(b"GET /_ping HTTP/1.1\r\n" + HOST + b"\r\n")
        assert read_answer(client).endswith(b"OK")


def test_s97_r29_a_thousand_resets_leave_no_descriptor_and_no_thread(
    served: Served, caplog: pytest.LogCaptureFixture
) -> None:
    _reset_one(served)
    descriptors, threads = open_descriptors(), threading.active_count()
    for _ in range(1000):
        _reset_one(served)
    deadline = time.monotonic() + 5
    while threading.active_count() > threads or open_descriptors() > descriptors:
        assert time.monotonic() < deadline, "threads or descriptors stay"
        time.sleep(0.02)
    assert not caplog.records


def _reset_one(served: Served) -> None:
    client = served.connect(tcp=True)
    client.sendall(b"POST /shout HTTP/1.1\r\nHost: localhost\r\n" + UPGRADE + b"\r\nx")
    client.recv(10)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()

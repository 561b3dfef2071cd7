"""HTTP/1.1 framing and the limits of S92 to S96, byte by byte over raw sockets."""

import json
import resource
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.api.conftest import Served, read_answer, serving
from tests.descriptors import open_descriptors
from wherry.api.connection import Limits

HOST = b"Host: engine\r\n"


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


def message(answer: bytes) -> str:
    return str(json.loads(answer.partition(b"\r\n\r\n")[2])["message"])


def test_one_connection_serves_many_requests(served: Served) -> None:
    with served.connect() as client:
        for _ in range(3):
            client.sendall(b"GET /_ping HTTP/1.1\r\n" + HOST + b"\r\n")
            answer = read_answer(client)
            assert status(answer) == 200
            assert answer.endswith(b"\r\n\r\nOK")
            assert b"Api-Version: 1.51\r\n" in answer
            assert b"Ostype: linux\r\n" in answer


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    request = b"GET /containers/%s/json HTTP/1.1\r\n" + HOST + b"\r\n"
    with served.connect() as client:
        client.sendall(request % b"one" + request % b"two")
        client.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: client.recv(65536), b""))
    assert data.index(b'{"id":"one"}') < data.index(b'{"id":"two"}')


def test_http_1_0_gets_an_answer_and_a_close(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
        data = b"".join(iter(lambda: client.recv(65536), b""))
    assert status(data) == 200
    assert data.endswith(b"OK")


def test_head_has_no_body(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"HEAD /_ping HTTP/1.1\r\n" + HOST + b"\r\nGET /_ping HTTP/1.1\r\n" + HOST + b"\r\n")
        client.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: client.recv(65536), b""))
    assert data.count(b"HTTP/1.1 200 OK") == 2
    assert data.split(b"\r\n\r\n", 1)[1].startswith(b"HTTP/1.1")


def test_expect_100_continue_is_answered_before_the_body_is_read(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"PUT /upload HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 100 Continue\r\n")
        client.sendall(b"hello")
        assert b'{"bytes":5}' in read_answer(client)


def test_a_refused_upload_is_answered_without_100_continue(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"PUT /refuse HTTP/1.1\r\n" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        answer = read_answer(client)
        assert status(answer) == 409
        assert client.recv(10) == b""


def test_a_chunked_body_is_read_as_it_comes(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"PUT /upload HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n")
        for _ in range(10):
            client.sendall(b"3\r\nabc\r\n")
        client.sendall(b"0\r\n\r\n")
        assert b'{"bytes":30}' in read_answer(client)


def test_an_answer_overtakes_an_upload_that_nobody_reads(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"PUT /refuse HTTP/1.1\r\n" + HOST + b"Content-Length: 50000000\r\n\r\n" + b"x" * 200_000)
        assert message(read_answer(client)) == "no room for it"


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\nContent-Length: 3\r\n",
        b"Content-Length: 3\r\ncontent-length: 30\r\n",
        b"Content-Length: 3, 30\r\n",
        b"Content-Length: +3\r\n",
        b"Content-Length: -1\r\n",
        b"Content-Length: 0x3\r\n",
        b"Content-Length : 3\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Bad Name: 1\r\n",
    ],
)
def test_s93_ambiguous_framing_is_refused_and_the_connection_closed(served: Served, head: bytes) -> None:
    smuggled = b"0\r\n\r\nGET /containers/smuggled/json HTTP/1.1\r\n" + HOST + b"\r\n"
    with served.connect() as client:
        client.sendall(b"PUT /upload HTTP/1.1\r\n" + HOST + head + b"\r\n" + smuggled)
        data = b"".join(iter(lambda: client.recv(65536), b""))
    assert status(data) in (400, 501)
    assert data.count(b"HTTP/1.1 ") == 1
    assert b"smuggled" not in data


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nabc\r\n", b"3 3\r\nabc\r\n", b"3\r\nabcdef\r\n", b"-1\r\n", b"f" * 40 + b"\r\n"]
)
def test_s93_a_bad_chunk_is_refused(served: Served, chunk: bytes) -> None:
    with served.connect() as client:
        client.sendall(b"PUT /upload HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + chunk)
        answer = read_answer(client)
        assert status(answer) == 400
        assert client.recv(10) == b""


@pytest.mark.parametrize(
    "data", [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET /_ping\r\n\r\n", b"\0\0\0\r\n\r\n"]
)
def test_s93_what_is_not_http_gets_400(served: Served, data: bytes) -> None:
    with served.connect() as client:
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        assert status(read_answer(client)) == 400


def test_s93_a_head_over_32_kib_is_refused(served: Served) -> None:
    for filler in (b"X-Filler: " + b"x" * 40_000 + b"\r\n", b"X-F: xxxxxxxxx\r\n" * 2500):
        with served.connect() as client:
            client.sendall(b"GET /_ping HTTP/1.1\r\n" + HOST + filler + b"\r\n")
            assert status(read_answer(client)) == 431


def test_s93_an_endless_head_is_refused_before_it_ends(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /_ping HTTP/1.1\r\n" + HOST + b"X-Filler: " + b"x" * 100_000)
        assert status(read_answer(client)) == 431


def test_s93_a_slow_head_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path, Limits(head_seconds=0.4)) as served, served.connect() as client:
        begun = time.monotonic()
        client.sendall(b"GET /_ping HTTP/1.1\r\n")
        try:
            while time.monotonic() < begun + 5:
                client.sendall(b"X-A: b\r\n")
                time.sleep(0.05)
        except OSError:
            pass  # cut off, as it should
        assert time.monotonic() - begun < 3


def test_s93_a_thousand_slow_clients_do_not_keep_others_out(served: Served) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4096), hard))
    before = _resident_bytes()
    slow = []
    try:
        for _ in range(1000):
            client = served.connect()
            client.sendall(b"GET /_ping HTTP/1.1\r\nHost:")
            slow.append(client)
        begun = time.monotonic()
        assert served.ask(b"GET /_ping HTTP/1.1\r\n" + HOST + b"\r\n").endswith(b"OK")
        assert time.monotonic() - begun < 1
        assert _resident_bytes() - before < 64 << 20
    finally:
        for client in slow:
            client.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_s93_connections_over_the_cap_are_told_so(tmp_path: Path) -> None:
    with serving(tmp_path, Limits(connections=3)) as served:
        held = [served.connect() for _ in range(3)]
        for client in held:
            client.sendall(b"GET /_ping HTTP/1.1\r\n" + HOST + b"\r\n")
            read_answer(client)
        with served.connect() as client:
            assert status(read_answer(client)) == 503
        held.pop().close()
        try:
            _until(lambda: _answers(served))
        finally:
            for client in held:
                client.close()


def _answers(served: Served) -> bool:
    try:
        return status(served.ask(b"GET /_ping HTTP/1.1\r\n" + HOST + b"\r\n")) == 200
    except ConnectionError:
        return False  # over the cap still: the answer was cut off by what we had sent


def test_s94_a_json_body_over_4_mib_is_refused_before_it_is_read(served: Served) -> None:
    head = b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 1073741824\r\n\r\n"
    answer = served.ask(head)
    assert status(answer) == 413
    assert message(answer) == "http: request body too large"


def test_s94_endless_chunks_of_json_are_cut_off(served: Served) -> None:
    before = _resident_bytes()
    with served.connect() as client:
        client.sendall(
            b"POST /echo HTTP/1.1\r\n"
            + HOST
            + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        deadline = time.monotonic() + 10
        with pytest.raises(OSError, match=r"Broken pipe|reset"):
            while time.monotonic() < deadline:
                client.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
        assert status(read_answer(client)) == 413
    assert _resident_bytes() - before < 64 << 20


def test_s94_a_stream_is_never_held_in_memory(served: Served) -> None:
    before = _resident_bytes()
    size = 256 << 20
    with served.connect() as client:
        client.sendall(b"PUT /upload HTTP/1.1\r\n" + HOST + b"Content-Length: %d\r\n\r\n" % size)
        block = bytes(1 << 20)
        for _ in range(size >> 20):
            client.sendall(block)
        assert b'{"bytes":%d}' % size in read_answer(client)
    assert _resident_bytes() - before < 64 << 20


def test_s94_a_trickled_json_body_is_cut_off(tmp_path: Path) -> None:
    with serving(tmp_path, Limits(json_seconds=0.3)) as served, served.connect() as client:
        client.sendall(
            b"POST /echo HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        assert status(read_answer(client)) == 408


def test_s95_a_body_behind_content_length_0_is_not_taken_for_the_request(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"POST /echo HTTP/1.1\r\n" + HOST + b'Content-Length: 0\r\n\r\n{"Privileged":true}\r\n\r\n')
        client.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: client.recv(65536), b""))
    assert b"Privileged" not in data
    assert data.count(b"HTTP/1.1 400") == 1


@pytest.mark.parametrize(
    "content_type", [b"", b"Content-Type: text/plain\r\n", b"Content-Type: application/x-www-form-urlencoded\r\n"]
)
def test_s92_only_json_is_read_as_json(served: Served, content_type: bytes) -> None:
    answer = served.ask(b"POST /echo HTTP/1.1\r\n" + HOST + content_type + b"Content-Length: 2\r\n\r\n{}")
    assert status(answer) == 400
    assert message(answer).startswith("unsupported Content-Type header (")


def test_json_with_a_charset_is_json(served: Served) -> None:
    head = (
        b"POST /echo HTTP/1.1\r\n"
        + HOST
        + b"Content-Type: application/json; charset=utf-8\r\nContent-Length: 2\r\n\r\n"
    )
    assert served.ask(head + b"{}").endswith(b"{}")


@pytest.mark.parametrize("tcp", [False, True])
def test_s92_a_request_from_a_browser_page_is_refused(served: Served, tcp: bool) -> None:
    for origin in (b"http://evil.example", b"null", b"http://localhost"):
        answer = served.ask(b"GET /_ping HTTP/1.1\r\nHost: localhost\r\nOrigin: " + origin + b"\r\n\r\n", tcp=tcp)
        assert status(answer) == 403


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        (b"localhost:2375", 200), (b"127.0.0.1:1", 200), (b"[::1]:2375", 200), (b"engine.example", 200),
        (b"ENGINE.example:2376", 200), (b"evil", 403), (b"evil.localhost", 403), (b"127.0.0.1.evil:80", 403),
        (b"", 403),
    ],
)  # fmt: skip
def test_s92_over_tcp_only_the_engines_own_names_are_answered(served: Served, host: bytes, expected: int) -> None:
    answer = served.ask(b"GET /_ping HTTP/1.1\r\nHost: " + host + b"\r\n\r\n", tcp=True)
    assert status(answer) == expected


def test_any_host_is_good_on_the_unix_socket(served: Served) -> None:
    assert status(served.ask(b"GET /_ping HTTP/1.1\r\nHost: docker\r\n\r\n")) == 200


@pytest.mark.parametrize("path", [b"a%00b", b"a%0ab", b"%1b", b"%zz", b"%", b"%ff%fe"])
def test_s96_control_characters_and_bad_escapes_in_a_path_are_refused(served: Served, path: bytes) -> None:
    answer = served.ask(b"GET /containers/" + path + b"/json HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status(answer) == 400


def test_s96_a_path_is_decoded_exactly_once(served: Served) -> None:
    answer = served.ask(b"GET /containers/a%2562/json HTTP/1.1\r\n" + HOST + b"\r\n")
    assert answer.endswith(b'{"id":"a%62"}\n')


def test_s96_an_encoded_slash_does_not_reach_a_parameter_that_has_none(served: Served) -> None:
    for path in (b"..%2f..%2fetc", b"%2e%2e%2f", b"a/b"):
        answer = served.ask(b"GET /containers/" + path + b"/json HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (status(answer), message(answer)) == (404, "page not found")


def test_s96_a_64_kib_name_is_refused(served: Served) -> None:
    assert status(served.ask(b"GET /containers/" + b"x" * 65536 + b"/json HTTP/1.1\r\n" + HOST + b"\r\n")) == 431


def test_an_image_name_may_have_slashes(served: Served) -> None:
    for name in (b"registry:5000/a/b:c", b"registry:5000%2Fa%2Fb:c"):
        answer = served.ask(b"GET /v1.41/images/" + name + b"/json HTTP/1.1\r\n" + HOST + b"\r\n")
        assert answer.endswith(b'{"name":"registry:5000/a/b:c"}\n')


def test_versions_outside_the_range_are_refused_in_dockers_words(served: Served) -> None:
    old = served.ask(b"GET /v1.10/_ping HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status(old) == 400
    assert message(old) == (
        "client version 1.10 is too old. Minimum supported API version is 1.24, "
        "please upgrade your client to a newer version"
    )
    new = served.ask(b"GET /v1.99/_ping HTTP/1.1\r\n" + HOST + b"\r\n")
    assert message(new) == "client version 1.99 is too new. Maximum supported API version is 1.51"
    assert status(served.ask(b"GET /v1.24/_ping HTTP/1.1\r\n" + HOST + b"\r\n")) == 200


def test_unknown_paths_and_methods_are_not_found(served: Served) -> None:
    for line in (b"GET /bogus", b"PUT /_ping", b"GET /", b"GET //", b"GET /v1.41", b"DELETE /v1.41/_ping"):
        answer = served.ask(line + b" HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (status(answer), message(answer)) == (404, "page not found")


def test_options_is_answered_with_an_empty_200(served: Served) -> None:
    answer = served.ask(b"OPTIONS /containers/json HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status(answer) == 200
    assert answer.endswith(b"Content-Length: 0\r\n\r\n")


def test_each_kind_of_error_has_its_status(served: Served) -> None:
    missing = served.ask(b"GET /error/missing HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status(missing), message(missing)) == (404, "No such container: x")
    same = served.ask(b"GET /error/same HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status(same) == 304
    assert same.endswith(b"\r\n\r\n")


def test_a_bug_is_a_500_and_its_traceback_is_in_the_log(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    answer = served.ask(b"GET /error/bug HTTP/1.1\r\n" + HOST + b"\r\n")
    assert status(answer) == 500
    assert "ZeroDivisionError" in message(answer)
    assert "Traceback" in caplog.text


def test_progress_comes_as_chunks_and_ends_with_the_error(served: Served) -> None:
    data = served.ask(b"POST /count?fail=1 HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n")
    assert status(data) == 200
    lines = [line for line in data.split(b"\r\n") if line.startswith(b"{")]
    assert [json.loads(line) for line in lines] == [
        {"status": "0"}, {"status": "1"}, {"status": "2"},
        {"errorDetail": {"message": "half way"}, "error": "half way"},
    ]  # fmt: skip
    assert data.endswith(b"0\r\n\r\n")


def test_an_error_before_the_first_progress_is_a_plain_error(served: Served) -> None:
    answer = served.ask(b"POST /early HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status(answer), message(answer)) == (404, "nothing to send")


def test_r28_a_long_request_ends_when_its_client_goes(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /follow HTTP/1.1\r\n" + HOST + b"\r\n")
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert not served.log.gone.is_set()
    assert served.log.gone.wait(5)


def test_r28_a_connection_may_be_watched_again_for_its_next_request(served: Served) -> None:
    with served.connect() as client:
        for _ in range(3):
            client.sendall(b"GET /watched HTTP/1.1\r\n" + HOST + b"\r\n")
            assert read_answer(client).endswith(b'{"gone":false}\n')


def test_r28_a_thousand_followers_that_leave_cost_nothing(served: Served) -> None:
    served.ask(b"GET /_ping HTTP/1.1\r\n" + HOST + b"\r\n")
    _follow_and_leave(served)  # starts the watcher
    descriptors, threads = _descriptors(), threading.active_count()
    for _ in range(1000):
        _follow_and_leave(served)
    _until(lambda: threading.active_count() <= threads and _descriptors() <= descriptors)


def _follow_and_leave(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /follow HTTP/1.1\r\n" + HOST + b"\r\n")
        client.recv(4096)


def _descriptors() -> int:
    return open_descriptors()


def _until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "did not come true in time"
        time.sleep(0.02)


def test_the_server_knows_whether_it_is_idle(served: Served) -> None:
    with served.connect() as client:
        client.sendall(b"GET /follow HTTP/1.1\r\n" + HOST + b"\r\n")
        client.recv(4096)
        assert served.server.idle_seconds() == 0
        assert not served.server.close_if_idle(0)
    _until(lambda: served.server.idle_seconds() > 0)
    assert served.server.close_if_idle(0)


def test_closing_ends_idle_connections_and_long_requests(served: Served) -> None:
    with served.connect() as idle, served.connect() as busy:
        idle.sendall(b"GET /_ping HTTP/1.1\r\n" + HOST + b"\r\n")
        read_answer(idle)
        busy.sendall(b"GET /follow HTTP/1.1\r\n" + HOST + b"\r\n")
        busy.recv(4096)
        served.server.close()
        assert idle.recv(10) == b""
        assert served.log.gone.wait(5)

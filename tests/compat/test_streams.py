"""Long streams and rude clients against a whole engine: nothing stays behind in it or in the monitor."""

import base64
import json
import os
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.compat.conftest import DockerCli
from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

_UPGRADE = "Connection: Upgrade\r\nUpgrade: tcp\r\nContent-Length: 0\r\n"


def _open(engine: EngineUnderTest, line: str, headers: str = "", body: bytes = b"") -> tuple[socket.socket, bytes]:
    """Send a request; the socket past the answer's head, and the head with what came after it."""
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(engine.socket))
    if body:
        headers += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    client.sendall(f"{line} HTTP/1.1\r\nHost: x\r\n{headers}\r\n".encode() + body)
    data = b""
    while b"\r\n\r\n" not in data:
        piece = client.recv(4096)
        assert piece, data
        data += piece
    return client, data


def _ask(engine: EngineUnderTest, line: str, body: bytes = b"") -> tuple[int, bytes]:
    client, data = _open(engine, line, "Connection: close\r\n", body)
    with client:
        data += b"".join(iter(lambda: client.recv(65536), b""))
    return int(data.split(b" ", 2)[1]), data.partition(b"\r\n\r\n")[2]


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def _threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def _settles(measure: Callable[[], int], limit: int) -> None:
    deadline = time.monotonic() + 10
    while measure() > limit:
        assert time.monotonic() < deadline, f"{measure()} instead of {limit}"
        time.sleep(0.05)


@pytest.fixture
def pids(engine: EngineUnderTest, cli: DockerCli) -> tuple[int, int]:
    """The engine, and the monitor of a container ``target`` that reads its input and prints."""
    cli("run", "-d", "-i", "--name", "target", "busybox", "sh", "-c", "while :; do echo tick; sleep 0.2; done")
    init = int(cli.out("inspect", "-f", "{{.State.Pid}}", "target"))
    monitor = int(Path(f"/proc/{init}/stat").read_text().rpartition(")")[2].split()[1])
    return engine.engine_pid(), monitor


@pytest.mark.parametrize(
    "line",
    [
        "POST /containers/target/attach?stream=1&stdin=1&stdout=1&stderr=1",
        "GET /containers/target/logs?follow=1&stdout=1&stderr=1",
        "GET /events",
        "GET /containers/target/stats",
        "POST /containers/target/wait",
    ],
)
def test_s97_r28_r29_clients_that_vanish_cost_nothing(
    engine: EngineUnderTest, pids: tuple[int, int], line: str
) -> None:
    headers = _UPGRADE if "attach" in line else ""
    for _ in range(3):  # what is made once and kept
        _open(engine, line, headers)[0].close()
    time.sleep(1.5)
    before = [(_descriptors(pid), _threads(pid)) for pid in pids]
    for _ in range(100):
        client, _ = _open(engine, line, headers)
        client.close()
    for pid, (descriptors, threads) in zip(pids, before, strict=True):
        _settles(lambda pid=pid: _descriptors(pid), descriptors)  # type: ignore[misc]
        _settles(lambda pid=pid: _threads(pid), threads)  # type: ignore[misc]


def test_s97_r27_a_hundred_execs_good_and_bad_leave_nothing(engine: EngineUnderTest, pids: tuple[int, int]) -> None:
    def run(command: list[str]) -> None:
        config = json.dumps({"Cmd": command, "AttachStdout": True, "AttachStderr": True}).encode()
        status, answer = _ask(engine, "POST /containers/target/exec", config)
        assert status == 201
        exec_id = json.loads(answer)["Id"]
        client, _ = _open(engine, f"POST /exec/{exec_id}/start", "Connection: Upgrade\r\nUpgrade: tcp\r\n", b"{}")
        with client:
            while client.recv(65536):
                pass
        exit_code = json.loads(_ask(engine, f"GET /exec/{exec_id}/json")[1])["ExitCode"]
        assert exit_code == (0 if command == ["true"] else 127)

    run(["true"])
    run(["no-such-command"])
    time.sleep(0.5)
    before = [(_descriptors(pid), _threads(pid)) for pid in pids]
    for _ in range(50):
        run(["true"])
        run(["no-such-command"])
    for pid, (descriptors, threads) in zip(pids, before, strict=True):
        _settles(lambda pid=pid: _descriptors(pid), descriptors)  # type: ignore[misc]
        _settles(lambda pid=pid: _threads(pid), threads)  # type: ignore[misc]


def test_s97_a_resize_storm_and_bad_sizes(engine: EngineUnderTest, cli: DockerCli) -> None:
    cli("run", "-d", "-t", "--name", "sized", "busybox", "sh", "-c", "while :; do stty size; sleep 0.1; done")
    for number in range(200):
        assert _ask(engine, f"POST /containers/sized/resize?h={number % 50 + 1}&w=77")[0] == 200
    for bad in ("", "?h=1", "?h=-1&w=2", "?h=x&w=y", "?h=99999999&w=1"):
        assert _ask(engine, f"POST /containers/sized/resize{bad}")[0] == 400
    assert _ask(engine, "POST /containers/sized/resize?h=33&w=44")[0] == 200
    deadline = time.monotonic() + 5
    while "33 44" not in cli.out("logs", "--tail", "2", "sized"):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def test_s97_output_that_nobody_reads_is_held_back_not_hoarded(engine: EngineUnderTest, cli: DockerCli) -> None:
    cli("run", "-d", "--name", "flood", "busybox", "sleep", "60")
    config = json.dumps({"Cmd": ["sh", "-c", "yes"], "AttachStdout": True}).encode()
    exec_id = json.loads(_ask(engine, "POST /containers/flood/exec", config)[1])["Id"]
    init = int(cli.out("inspect", "-f", "{{.State.Pid}}", "flood"))
    monitor = int(Path(f"/proc/{init}/stat").read_text().rpartition(")")[2].split()[1])
    before = [_resident(pid) for pid in (engine.engine_pid(), monitor)]
    client, _ = _open(engine, f"POST /exec/{exec_id}/start", "Connection: Upgrade\r\nUpgrade: tcp\r\n", b"{}")
    with client:
        time.sleep(2)
        after = [_resident(pid) for pid in (engine.engine_pid(), monitor)]
        assert all(late - early < 16 << 20 for early, late in zip(before, after, strict=True))
        begun = time.monotonic()
        assert _ask(engine, "GET /_ping")[0] == 200
        assert time.monotonic() - begun < 1


def _resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_attach_over_a_websocket(engine: EngineUnderTest, cli: DockerCli) -> None:
    cli("run", "-d", "-i", "--name", "web", "busybox", "sh", "-c", "read x; echo got-$x; sleep 0.3")
    key = base64.b64encode(os.urandom(16)).decode()
    client, data = _open(
        engine,
        "GET /containers/web/attach/ws?stream=1&stdin=1&stdout=1",
        f"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n",
    )
    assert data.startswith(b"HTTP/1.1 101 ")
    with client:
        client.sendall(b"\x82\x86" + b"\0\0\0\0" + b"typed\n")
        received = data.partition(b"\r\n\r\n")[2] + b"".join(iter(lambda: client.recv(4096), b""))
    assert received == b"\x82\x0agot-typed\n" + b"\x88\x02" + struct.pack(">H", 1000)


def test_wait_answers_its_head_before_the_container_starts(engine: EngineUnderTest, cli: DockerCli) -> None:
    cli("create", "--name", "later", "busybox", "sh", "-c", "exit 6")
    client, data = _open(engine, "POST /v1.43/containers/later/wait?condition=next-exit", "Connection: close\r\n")
    with client:
        assert data.startswith(b"HTTP/1.1 200 ")
        cli("start", "later")
        data += b"".join(iter(lambda: client.recv(4096), b""))
    assert b'{"StatusCode":6}' in data


def test_a_removed_container_ends_its_waiters(engine: EngineUnderTest, cli: DockerCli) -> None:
    cli("run", "-d", "--name", "gone", "busybox", "sleep", "60")
    client, data = _open(engine, "POST /containers/gone/wait?condition=removed", "Connection: close\r\n")
    with client:
        cli("rm", "-f", "gone")
        data += b"".join(iter(lambda: client.recv(4096), b""))
    assert b'"StatusCode":137' in data


@pytest.mark.parametrize(
    ("line", "status", "message"),
    [
        ("POST /containers/create", 400, "invalid JSON: got EOF while reading request body"),
        ("GET /containers/json?limit=abc", 400, 'strconv.Atoi: parsing "abc": invalid syntax'),
        ("GET /containers/json?filters=%7B%22foo%22%3A%5B%22a%22%5D%7D", 400, "invalid filter 'foo'"),
        ("GET /containers/nope/logs", 400, "Bad parameters: you must choose at least one stream"),
        ("GET /containers/nope/logs?stdout=1", 404, "No such container: nope"),
        ("GET /containers/nope/json", 404, "No such container: nope"),
        ("POST /containers/nope/start", 404, "No such container: nope"),
        ("POST /containers/nope/attach", 404, "No such container: nope"),
        ("POST /containers/nope/wait", 404, "No such container: nope"),
        ("GET /containers/nope/stats?stream=0", 404, "No such container: nope"),
        ("DELETE /containers/nope", 404, "No such container: nope"),
        ("POST /exec/abc/start", 404, "No such exec instance: abc"),
        ("GET /exec/abc/json", 404, "No such exec instance: abc"),
        ("GET /volumes/x", 404, "get x: no such volume"),
        ("GET /networks/x", 404, "network x not found"),
        ("DELETE /networks/host", 403, "host is a pre-defined network and cannot be removed"),
        (
            "POST /images/create?fromImage=UPPER",
            400,
            "invalid reference format: repository name (library/UPPER) must be lowercase",
        ),
        ("POST /commit?container=x", 404, "No such container: x"),
        ("POST /swarm/leave", 503, "This node is not part of a swarm"),
        ("GET /plugins/x/json", 404, 'plugin "x" not found'),
    ],
)
def test_errors_are_dockerds(engine: EngineUnderTest, line: str, status: int, message: str) -> None:
    found, answer = _ask(engine, line)
    assert (found, json.loads(answer)["message"]) == (status, message)

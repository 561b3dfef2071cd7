"""Clients that come in numbers and go without a word: descriptors, threads and processes stay flat."""

import os
import random
import resource
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.crash.api_request import request
from tests.crash.conftest import descriptors, eventually, parent_of
from tests.crash.consistency import assert_consistent
from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(100)]

_CLIENTS = 150


def hijack(engine: EngineUnderTest, path: str, body: bytes = b"") -> socket.socket:
    """Send a request for a stream and do not read."""
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(engine.socket))
    connection.sendall(
        f"POST /v1.51{path} HTTP/1.1\r\nHost: d\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        + body
    )
    return connection


def follow(engine: EngineUnderTest) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(str(engine.socket))
    connection.sendall(b"GET /v1.51/containers/talks/logs?follow=1&stdout=1 HTTP/1.1\r\nHost: d\r\n\r\n")
    return connection


def run_exec(engine: EngineUnderTest) -> socket.socket:
    command = ["sh", "-c", "read line; exit 0"]
    made = request(
        engine.socket, "POST", "/containers/talks/exec",
        {"Cmd": command, "AttachStdin": True, "AttachStdout": True},
    )[1]  # fmt: skip
    return hijack(engine, f"/exec/{made['Id']}/start", b"{}")


def children(pid: int) -> int:
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


def test_r27_r28_r29_streams_that_are_dropped_leave_nothing(fresh_engine: EngineUnderTest) -> None:
    engine = fresh_engine
    engine.wherry(
        "run", "-d", "--name", "talks", "busybox", "sh", "-c", "while :; do echo some words; sleep 0.02; done"
    )
    pid = int(engine.wherry("inspect", "--format", "{{.State.Pid}}", "talks").stdout)
    running, monitor = engine.engine_pid(), parent_of(pid)

    def counted() -> tuple[int, int, int, int]:
        threads = len(os.listdir(f"/proc/{running}/task"))
        return descriptors(running), threads, descriptors(monitor), children(monitor)

    chance = random.Random(7)

    def drop(number: int) -> None:
        for _ in range(number):
            kind = chance.randrange(3)
            if kind == 0:
                connection = hijack(engine, "/containers/talks/attach?stream=1&stdout=1&stderr=1&stdin=1")
            elif kind == 1:
                connection = follow(engine)
            else:
                connection = run_exec(engine)
            if chance.random() < 0.5:
                connection.recv(100)
            if chance.random() < 0.3:
                time.sleep(0.02)
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()

    drop(20)  # what is made once is made now
    time.sleep(1.5)
    before = counted()
    drop(_CLIENTS)
    eventually(
        lambda: all(now <= then + 1 for now, then in zip(counted(), before, strict=True)),
        lambda: f"the end of what clients held: before {before}, now {counted()}",
        seconds=10,
    )
    assert request(engine.socket, "GET", "/containers/talks/json")[1]["State"]["Running"]
    eventually(
        lambda: not request(engine.socket, "GET", "/containers/talks/json")[1]["ExecIDs"], "the end of the last exec"
    )
    engine.wherry("rm", "-f", "talks")
    assert_consistent(engine)
    assert "Traceback" not in engine.log(), engine.log()[-4000:]


def test_r08_an_engine_without_descriptors_recovers(fresh_engine: EngineUnderTest) -> None:
    engine = fresh_engine
    engine.wherry("run", "-d", "--name", "steady", "busybox", "sleep", "1000")
    running = engine.engine_pid()
    resource.prlimit(running, resource.RLIMIT_NOFILE, (64, 64))
    crowd = []
    for _ in range(100):
        connection = socket.socket(socket.AF_UNIX)
        connection.connect(str(engine.socket))
        crowd.append(connection)
    eventually(lambda: descriptors(running) >= 63, "no free descriptor")
    for connection in crowd[:30]:
        connection.sendall(b"GET /v1.51/containers/json HTTP/1.1\r\nHost: d\r\n\r\n")
    time.sleep(0.5)
    for connection in crowd:
        connection.close()
    began = time.monotonic()
    assert request(engine.socket, "GET", "/containers/json")[0] == 200
    assert time.monotonic() - began < 5
    assert engine.engine_pid() == running
    assert engine.wherry("exec", "steady", "echo", "here").stdout == "here\n"
    engine.wherry("run", "--rm", "busybox", "true")
    engine.wherry("rm", "-f", "steady")
    assert_consistent(engine)

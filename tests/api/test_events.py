"""GET /events over a real event bus."""

import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from wherry.api import events
from wherry.api.http_server import ApiServer
from wherry.api.router import Router
from wherry.events.bus import EventBus
from wherry.events.journal import Journal


class EventServer:
    """A server of /events alone."""

    def __init__(self, path: str) -> None:
        self.bus = EventBus(Journal(f"{path}-events", max_size_bytes=1 << 24, max_age_seconds=0))
        self.path = path
        router = Router()
        router.add(self.bus, events.ROUTES)
        self.server = ApiServer(router)

    def listen(self, query: str) -> socket.socket:
        """A client that has the answer's head."""
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(10)
        client.connect(self.path)
        client.sendall(f"GET /events{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += client.recv(1)
        assert head.startswith(b"HTTP/1.1 200 ")
        return client


def read_events(client: socket.socket, count: int) -> list[dict[str, object]]:
    """The next ``count`` events (fewer when the stream ends)."""
    found: list[dict[str, object]] = []
    with client.makefile("rb") as file:
        while len(found) < count and (line := file.readline()):
            if line == b"0\r\n":
                break  # the last chunk
            if line.startswith(b"{"):
                found.append(json.loads(line))
    return found


@pytest.fixture
def served(tmp_path: Path) -> Iterator[EventServer]:
    events_server = EventServer(str(tmp_path / "s"))
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(events_server.path)
        listener.listen()
        thread = threading.Thread(target=events_server.server.serve, args=(listener,))
        thread.start()
        yield events_server
        events_server.server.close()
        thread.join(5)
        assert events_server.server.drain(5)
        events_server.bus.close()


def test_events_come_as_they_happen(served: EventServer) -> None:
    with served.listen("") as client:
        served.bus.publish("container", "start", "ab" * 32, {"name": "web", "image": "busybox"})
        (event,) = read_events(client, 1)
    assert (event["Type"], event["Action"], event["status"], event["from"]) == (
        "container", "start", "start", "busybox",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"container": ["web"]}, ["start", "exec_create: sh"]),
        ({"container": ["abab"]}, ["start", "exec_create: sh"]),
        ({"event": ["exec_create"]}, ["exec_create: sh"]),
        ({"event": ["start", "die"], "type": ["container"]}, ["start", "die"]),
        ({"type": ["network"]}, ["connect"]),
        ({"image": ["busybox"]}, ["start", "exec_create: sh", "die", "pull"]),
        ({"image": ["busybox:1.36"]}, ["pull"]),
        ({"label": ["tier=front"]}, ["start"]),
        ({"label": ["tier"]}, ["start"]),
        ({"label": ["tier=back"]}, []),
        ({"volume": ["v"]}, ["create"]),
        ({"container": ["nobody"]}, []),
    ],
)
def test_filters_choose_events(served: EventServer, filters: dict[str, list[str]], expected: list[str]) -> None:
    web = "ab" * 32
    with served.listen("?until=9999999999&filters=" + quote(json.dumps(filters))) as client:
        served.bus.publish("container", "start", web, {"name": "web", "image": "busybox", "tier": "front"})
        served.bus.publish("container", "exec_create: sh", web, {"name": "web", "image": "busybox"})
        served.bus.publish("container", "die", "cd" * 32, {"name": "db", "image": "busybox"})
        served.bus.publish("network", "connect", "ef" * 32, {"name": "bridge", "container": web})
        served.bus.publish("image", "pull", "busybox:1.36", {"name": "busybox"})
        served.bus.publish("volume", "create", "v", {"driver": "local"})
        assert [event["Action"] for event in read_events(client, len(expected))] == expected


def test_since_and_until_give_the_past_and_end(served: EventServer) -> None:
    served.bus.publish("container", "create", "ab" * 32, {"name": "web"})
    served.bus.publish("container", "start", "ab" * 32, {"name": "web"})
    with served.listen("?since=0&until=1") as client:
        assert read_events(client, 1) == []
    with served.listen("?since=0") as client:
        assert [event["Action"] for event in read_events(client, 2)] == ["create", "start"]


def test_since_after_until_is_refused(served: EventServer) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(served.path)
        client.sendall(b"GET /events?since=5&until=1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = client.makefile("rb").read()
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"`since` time (5) cannot be after `until` time (1)" in answer


def test_a_listener_that_leaves_ends_its_subscription(served: EventServer) -> None:
    with served.listen(""):
        assert served.bus.subscriber_count == 1
    deadline = threading.Event()
    for _ in range(200):
        if served.bus.subscriber_count == 0:
            return
        deadline.wait(0.02)
    raise AssertionError("the subscription stays")


def test_r30_a_listener_that_does_not_read_is_dropped(served: EventServer) -> None:
    with served.listen("") as client:
        for number in range(20_000):
            served.bus.publish("container", "start", "ab" * 32, {"name": "x" * 200, "n": str(number)})
        assert served.bus.subscriber_count <= 1
        got = read_events(client, 20_000)
    assert len(got) < 20_000
    assert [int(event["Actor"]["Attributes"]["n"]) for event in got] == list(range(len(got)))  # type: ignore[index]

"""S98: requests made from the description that we publish, against a live engine: no 5xx but the documented 501 and
503, no crash, nothing in the log that is a bug.

Strings are such that no request can reach beyond this engine: no absolute paths, no names of registries, no programs.
"""

import json
import shutil
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged

# They speak to registries, or do nothing but stream.
_LEFT_OUT = {
    ("post", "/auth"), ("post", "/images/create"), ("get", "/images/search"), ("post", "/images/{name}/push"),
    ("get", "/distribution/{name}/json"), ("get", "/events"), ("post", "/build"), ("post", "/session"), ("post", "/grpc"),
}  # fmt: skip
_NOT_HERE = ("swarm", "nodes", "services", "tasks", "secrets", "configs", "plugins")
_IDS = (
    "web",
    "web",
    "web",
    "stopped",
    "stopped",
    "busybox",
    "vol1",
    "web",
    "stopped",
    "none",
    "busybox",
    "busybox:latest",
    "bridge",
    "host",
    "vol1",
    "..",
    "%2e%2e",
    "a/b",
    "é",
    "\x7f",
    "0" * 64,
)
_ODD = st.sampled_from((
    "", "0", "1", "-1", "true", "x", "busybox", "web", "container:web", "container:none", "vol1:/v", "65536", "1e9", "é", "a b", "a=b",
    "\x00", "..", "[]", "{}", '{"status":["exited"]}', '{"label":{"a":true}}', '{"x":1}', "null", "9" * 30, "TERM", "SIGX", "8080/tcp",
    "bridge", "host", "none", "default", "private", "no", "always", "on-failure:x", "5m", "2020-01-01T00:00:00Z", "json-file",
    "linux/arm64", "next-exit", "a" * 300,
))  # fmt: skip
_PLAIN = st.sampled_from(
    ("", "1", "true", "busybox", "web", "x", "a=b", "no", "bridge", "json-file", "default", "TERM")
)
_WORDS = st.one_of(_PLAIN, _PLAIN, _ODD)
_NUMBERS = st.sampled_from((0, 1, -1, 2, 100, 4096, 1 << 31, 1 << 53, -(1 << 40)))


class Fuzzed:
    """An engine with a running and a stopped container, and its own description."""

    def __init__(self, engine: EngineUnderTest) -> None:
        self.engine = engine
        self.restore()
        status, body = self.send("GET", "/openapi.json")
        assert status == 200
        self.description: dict[str, Any] = json.loads(body)
        self.operations = [
            (method, path, operation)
            for path, methods in self.description["paths"].items()
            for method, operation in methods.items()
            if (method, path) not in _LEFT_OUT
            for _ in range(1 if path.split("/")[1] in _NOT_HERE else 10)
        ]

    def restore(self) -> None:
        """Make again what a request took away."""
        self.send("POST", "/images/kept:1/tag?repo=busybox&tag=latest")
        for name in ("web", "stopped"):
            document = {"Image": "busybox", "Cmd": ["sleep", "600"], "StopSignal": "SIGKILL", "StopTimeout": 1}
            self.send("POST", f"/containers/create?name={name}", json.dumps(document).encode(), "application/json")
        self.send("POST", "/containers/web/start")

    def send(self, method: str, target: str, body: bytes = b"", content_type: str = "") -> tuple[int, bytes]:
        """The status and, of an answer with a length, the body; of a stream only the head is waited for."""
        head = (
            f"{method.upper()} {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n"
        )
        if content_type:
            head += f"Content-Type: {content_type}\r\n"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(20)
            client.connect(str(self.engine.socket))
            client.sendall(head.encode() + b"\r\n" + body)
            with client.makefile("rb") as answer:
                status = int(answer.readline().split()[1])
                length = 0
                while (line := answer.readline()) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    length = int(value) if name.lower() == b"content-length" else length
                return status, answer.read(length) if method.upper() != "HEAD" else b""


@pytest.fixture(scope="module")
def fuzzed(busybox_tar: Path) -> Iterator[Fuzzed]:
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    engine = EngineUnderTest(root, {})
    try:
        engine.import_busybox(busybox_tar)
        engine.wherry("tag", "busybox", "kept:1")
        yield Fuzzed(engine)
    finally:
        engine.stop()
        shutil.rmtree(root, ignore_errors=True)


def _value(draw: st.DrawFn, schema: dict[str, Any], schemas: dict[str, Any], depth: int = 0) -> Any:
    """A value of the schema, and one time in twelve of another."""
    if draw(st.integers(0, 24)) == 0:
        return draw(st.one_of(st.none(), _WORDS, _NUMBERS, st.booleans(), st.just([]), st.just({}), st.just([{}])))
    if "$ref" in schema:
        return _value(draw, schemas[schema["$ref"].rpartition("/")[2]], schemas, depth)
    if "anyOf" in schema:
        return _value(draw, draw(st.sampled_from(schema["anyOf"])), schemas, depth)
    match schema.get("type"):
        case "object" if "properties" in schema:
            names = sorted(schema["properties"])
            chosen = draw(st.lists(st.sampled_from(names), max_size=6 if depth == 0 else 3, unique=True))
            return {name: _value(draw, schema["properties"][name], schemas, depth + 1) for name in chosen}
        case "object":
            inner = schema.get("additionalProperties") or {}
            inner = inner if isinstance(inner, dict) else {}
            return {draw(_WORDS): _value(draw, inner, schemas, depth + 1) for _ in range(draw(st.integers(0, 2)))}
        case "array":
            inner = schema.get("items") or {}
            inner = inner if isinstance(inner, dict) else {}
            return [_value(draw, inner, schemas, depth + 1) for _ in range(draw(st.integers(0, 2)))]
        case "integer" | "number":
            return draw(_NUMBERS)
        case "boolean":
            return draw(st.booleans())
        case "null":
            return None
    return draw(_WORDS)


@st.composite
def _request(draw: st.DrawFn, fuzzed: Fuzzed) -> tuple[str, str, bytes, str]:
    method, path, operation = draw(st.sampled_from(fuzzed.operations))
    query: list[tuple[str, str]] = []
    for parameter in operation["parameters"]:
        if parameter["in"] == "path":
            path = path.replace(f"{{{parameter['name']}}}", quote(draw(st.sampled_from(_IDS)), safe="%/"))
        elif parameter["name"] != "t" and draw(st.integers(0, 3)) == 0:  # t: seconds that a stop may take
            query += [(parameter["name"], draw(_WORDS)) for _ in range(draw(st.integers(1, 2)))]
    body, content_type = b"", ""
    if "requestBody" in operation and draw(st.integers(0, 9)):
        content_type, media = next(iter(operation["requestBody"]["content"].items()))
        if content_type == "application/json":
            document = _value(draw, media["schema"], fuzzed.description["components"]["schemas"])
            if path == "/containers/create" and isinstance(document, dict) and draw(st.integers(0, 5)):
                document["Image"] = "busybox"
            body = json.dumps(document).encode()
        else:
            body = draw(st.sampled_from((b"", b"nonsense", b"\0" * 1024)))
    version = draw(
        st.sampled_from(("", "", "", "", "", "", "", "/v1.24", "/v1.30", "/v1.41", "/v1.43", "/v1.51", "/v9.99"))
    )
    return method, f"{version}{path}?{urlencode(query)}", body, content_type


def test_s98_nothing_that_the_description_allows_is_an_internal_error(fuzzed: Fuzzed) -> None:
    before = fuzzed.engine.engine_pid()
    seen: set[int] = set()

    @settings(
        max_examples=3000, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(st.data())
    def attack(data: st.DataObject) -> None:
        method, target, body, content_type = data.draw(_request(fuzzed))
        status, answer = fuzzed.send(method, target, body, content_type)
        seen.add(status)
        assert status < 500 or status in (501, 503), f"{method} {target} {body[:2000]!r}: {status} {answer[:500]!r}"
        if status < 400 and method in ("post", "delete"):
            fuzzed.restore()

    attack()
    assert fuzzed.engine.engine_pid() == before, fuzzed.engine.log()[-3000:]
    assert "Traceback" not in fuzzed.engine.log()
    assert {200, 201, 204, 400, 404} <= seen

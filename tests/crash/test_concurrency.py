"""R18: many clients, few names, every verb. No internal error, no deadlock, and all agrees afterwards."""

import random
import threading
import time
from collections import Counter

import pytest

from tests.crash.api_request import request
from tests.crash.consistency import assert_consistent
from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(100)]

_SECONDS = 12.0
_THREADS = 16
_NAMES = [f"name{number}" for number in range(6)]
_HOST = {"PortBindings": {"80/tcp": [{"HostPort": ""}]}}
_CREATE = {
    "Image": "busybox",
    "Cmd": ["sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.1; done"],
    "HostConfig": _HOST,
}
# What each may answer in the middle of all the others; never 500, never 503.
_ALLOWED = {
    "create": {201, 409},
    "start": {204, 304, 404, 409},
    "stop": {204, 304, 404},
    "restart": {204, 404, 409},
    "kill": {204, 404, 409},
    "rm": {204, 404, 409},
    "rename": {204, 400, 404, 409},
    "pause": {204, 404, 409},
    "unpause": {204, 404, 409},
    "inspect": {200, 404},
    "list": {200},
}


def call(engine: EngineUnderTest, verb: str, name: str, other: str) -> tuple[int, object]:
    path = f"/containers/{name}"
    if verb == "create":
        return request(engine.socket, "POST", f"/containers/create?name={name}", _CREATE)
    if verb == "rm":
        return request(engine.socket, "DELETE", f"{path}?force=1")
    if verb == "inspect":
        return request(engine.socket, "GET", f"{path}/json")
    if verb == "list":
        return request(engine.socket, "GET", "/containers/json?all=1")
    query = {"stop": "?t=1", "restart": "?t=0", "rename": f"?name={other}"}.get(verb, "")
    return request(engine.socket, "POST", f"{path}/{verb}{query}")


def test_r18_r39_every_verb_at_once_on_six_names(fresh_engine: EngineUnderTest) -> None:
    engine = fresh_engine
    engine.wherry("ps")
    unexpected: list[str] = []
    counts: Counter[str] = Counter()
    slowest = [0.0]
    until = time.monotonic() + _SECONDS

    def worker(number: int) -> None:
        chance = random.Random(number)
        verbs = [*_ALLOWED, "create", "start", "start"]
        while time.monotonic() < until:
            verb, name, other = chance.choice(verbs), chance.choice(_NAMES), chance.choice(_NAMES)
            began = time.monotonic()
            try:
                status, body = call(engine, verb, name, other)
            except OSError as exc:
                unexpected.append(f"{verb} {name}: {exc!r}")
                return
            slowest[0] = max(slowest[0], time.monotonic() - began)
            counts[f"{verb} {status}"] += 1
            if status not in _ALLOWED[verb]:
                unexpected.append(f"{verb} {name}: {status} {body}")

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(_THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(_SECONDS + 40)
        assert not thread.is_alive(), f"deadlock\n{engine.log()[-2000:]}"
    assert unexpected == [], Counter(
        " ".join(w if len(w) < 40 else "ID" for w in u.split())[:160] for u in unexpected
    )
    assert counts["start 204"] > 20
    assert slowest[0] < 15, slowest
    assert_consistent(engine)
    engine.kill_engine()
    engine.wherry("ps")
    assert_consistent(engine)
    for name in _NAMES:
        assert request(engine.socket, "DELETE", f"/containers/{name}?force=1")[0] in (204, 404)
    assert_consistent(engine)
    assert "Traceback" not in engine.log(), engine.log()[-6000:]

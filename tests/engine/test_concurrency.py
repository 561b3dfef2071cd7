"""Many clients at once: names are linearizable, starts and removals do not step on each other."""

import json
import socket
import threading
from collections import Counter
from typing import Any

import pytest

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged


def request(engine: EngineUnderTest, method: str, path: str, body: dict[str, Any] | None = None) -> tuple[int, Any]:
    """One API request on a connection of its own; status and decoded body."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(str(engine.socket))
        data = json.dumps(body).encode() if body is not None else b""
        head = (
            f"{method} /v1.51{path} HTTP/1.1\r\nHost: d\r\nConnection: close\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(data)}\r\n\r\n"
        )
        connection.sendall(head.encode() + data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    head_bytes, _, rest = answer.partition(b"\r\n\r\n")
    return int(head_bytes.split(b" ")[1]), json.loads(rest) if rest.strip() else None


def test_r18_a_name_has_one_holder_at_a_time(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("ps")
    held: list[int] = []
    outcomes: Counter[int] = Counter()
    lock = threading.Lock()

    def worker() -> None:
        for _ in range(25):
            status, created = request(
                fresh_engine, "POST", "/containers/create?name=wanted", {"Image": "busybox", "Cmd": ["true"]}
            )
            with lock:
                outcomes[status] += 1
                if status == 201:
                    held.append(1)
                    assert len(held) == 1, "two containers had the name at once"
            if status == 201:
                with lock:
                    held.pop()
                assert request(fresh_engine, "DELETE", f"/containers/{created['Id']}")[0] == 204
            else:
                assert status == 409
                assert created["message"].startswith('Conflict. The container name "/wanted" is already in use by')

    threads = [threading.Thread(target=worker) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes[201] >= 1
    assert sum(outcomes.values()) == 400
    assert request(fresh_engine, "GET", "/containers/json?all=1") == (200, [])


def test_concurrent_runs_of_auto_removed_containers_all_answer_their_own_code(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("ps")
    wrong: list[str] = []

    def worker(number: int) -> None:
        for turn in range(4):
            code = (number * 4 + turn) % 100 + 1
            done = fresh_engine.wherry("run", "--rm", "busybox", "sh", "-c", f"echo {code}; exit {code}", check=False)
            if (done.returncode, done.stdout) != (code, f"{code}\n"):
                wrong.append(f"{code}: {done.returncode} {done.stdout!r} {done.stderr!r}")

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_start_stop_and_remove_at_once_leave_a_container_whole_or_absent(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("create", "--name", "torn", "busybox", "sleep", "60")
    allowed = {
        "start": {204, 304, 404, 409},
        "stop?t=0": {204, 304, 404, 409},
        "restart?t=0": {204, 404, 409},
        "kill": {204, 404, 409},
    }
    unexpected: list[str] = []

    def worker(verb: str) -> None:
        for _ in range(6):
            status, body = request(fresh_engine, "POST", f"/containers/torn/{verb}")
            if status not in allowed[verb]:
                unexpected.append(f"{verb}: {status} {body}")

    threads = [threading.Thread(target=worker, args=(verb,)) for verb in allowed]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert unexpected == []
    assert request(fresh_engine, "DELETE", "/containers/torn?force=1")[0] == 204
    assert request(fresh_engine, "GET", "/containers/torn/json")[0] == 404

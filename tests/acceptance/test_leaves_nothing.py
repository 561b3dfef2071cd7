"""Oracle M: what two hundred containers leave on the host is nothing."""

import json
import threading
import time
from collections.abc import Callable

import pytest

from tests.engine_under_test import EngineUnderTest
from tests.host_state import HostState

pytestmark = pytest.mark.privileged


def _assert_nothing_on_disk(engine: EngineUnderTest) -> None:
    """What is removed goes through a trash directory, in the background: that must be empty soon, too."""
    places = (
        (engine.data_root / "containers", ("[!.]*", ".trash/*")),
        (engine.run_root / "containers", ("*",)),
        (engine.data_root / "snapshots", ("active/*", "trash/*")),
    )
    deadline = time.monotonic() + 5
    while True:
        left = [str(path) for root, patterns in places for pattern in patterns for path in root.glob(pattern)]
        if not left:
            return
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


@pytest.mark.timeout(180)
def test_two_hundred_runs_in_a_row_leave_nothing(
    fresh_engine: EngineUnderTest, host_state: Callable[[], HostState]
) -> None:
    fresh_engine.wherry("run", "--rm", "busybox", "true")
    before = host_state()
    for number in range(200):
        done = fresh_engine.wherry("run", "--rm", "-p", "0:80", "busybox", "echo", str(number))
        assert done.stdout == f"{number}\n"
    before.assert_same_as_now()
    _assert_nothing_on_disk(fresh_engine)
    assert fresh_engine.wherry("ps", "-aq").stdout == ""


@pytest.mark.timeout(120)
def test_eight_at_a_time_leave_nothing(fresh_engine: EngineUnderTest, host_state: Callable[[], HostState]) -> None:
    fresh_engine.wherry("run", "--rm", "busybox", "true")
    before = host_state()
    wrong: list[str] = []

    def worker(first: int) -> None:
        for number in range(first, first + 10):
            done = fresh_engine.wherry(
                "run", "--rm", "busybox", "sh", "-c", f"echo {number}; exit {number % 7}", check=False
            )
            if done.returncode != number % 7 or done.stdout != f"{number}\n":
                wrong.append(f"{number}: {done}")

    threads = [threading.Thread(target=worker, args=(first,)) for first in range(0, 80, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    before.assert_same_as_now()
    _assert_nothing_on_disk(fresh_engine)


def test_stopping_the_engine_removes_bridge_table_and_sockets(
    fresh_engine: EngineUnderTest, host_state: Callable[[], HostState]
) -> None:
    fresh_engine.wherry("run", "--rm", "busybox", "true")
    bridge = json.loads(fresh_engine.wherry("network", "inspect", "bridge").stdout)[0]
    name = bridge["Options"]["com.docker.network.bridge.name"]
    assert name in host_state().links
    fresh_engine.wherry("system", "stop")
    after = host_state()
    assert name not in after.links
    assert not any(name.removeprefix("wh-") in line for line in after.firewall)
    assert list(fresh_engine.run_root.glob("*.sock")) == []

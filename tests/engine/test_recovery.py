"""Starting the engine is recovering: what containers did without it, and what a crash left, is put right."""

import json
import os
import signal
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.engine_under_test import EngineUnderTest
from wherry.snapshots.overlay import OverlaySnapshotter

pytestmark = pytest.mark.privileged


def inspect(engine: EngineUnderTest, name: str) -> dict[str, Any]:
    document: list[dict[str, Any]] = json.loads(engine.wherry("inspect", name).stdout)
    return document[0]


def eventually(condition: Callable[[], bool], seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def monitor_of(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("PPid:")))


def test_r10_a_second_engine_on_the_same_data_root_refuses(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("ps")
    (fresh_engine.root / "other").mkdir()
    other = EngineUnderTest(fresh_engine.root / "other", {})
    other.environment["WHERRY_DATA_ROOT"] = str(fresh_engine.data_root)
    refused = other.wherry("ps", check=False)
    other.wherry("system", "stop", check=False)
    assert refused.returncode != 0
    assert "another engine is using it" in refused.stderr + other.log()


def test_r11_containers_do_not_notice_that_the_engine_was_killed(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "steady", "busybox", "sleep", "60")
    before = inspect(fresh_engine, "steady")
    for _ in range(5):
        fresh_engine.kill_engine()
        after = inspect(fresh_engine, "steady")
        assert after["State"]["Pid"] == before["State"]["Pid"]
        assert after["State"]["StartedAt"] == before["State"]["StartedAt"]
        assert after["NetworkSettings"]["IPAddress"] == before["NetworkSettings"]["IPAddress"]
    assert fresh_engine.wherry("exec", "steady", "echo", "there").stdout == "there\n"
    fresh_engine.wherry("rm", "-f", "steady")


def test_r12_what_is_printed_while_the_engine_is_down_is_logged_once(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry(
        "run",
        "-d",
        "--name",
        "counter",
        "busybox",
        "sh",
        "-c",
        "i=0; while [ $i -lt 2000 ]; do echo $i; i=$((i+1)); done",
    )
    for _ in range(3):
        fresh_engine.kill_engine()
        fresh_engine.wherry("ps")
    fresh_engine.wherry("wait", "counter")
    lines = fresh_engine.wherry("logs", "counter").stdout.split()
    assert lines == [str(number) for number in range(2000)]


def test_r13_an_exit_while_the_engine_is_down_has_its_code_and_its_time(fresh_engine: EngineUnderTest) -> None:
    names = [f"exit{code}" for code in range(8)]
    for code, name in enumerate(names):
        fresh_engine.wherry("run", "-d", "--name", name, "busybox", "sh", "-c", f"sleep 1.5; exit {code}")
    fresh_engine.kill_engine()
    began = time.time()
    time.sleep(2.5)
    for code, name in enumerate(names):
        state = inspect(fresh_engine, name)["State"]
        assert (state["Status"], state["ExitCode"]) == ("exited", code)
        assert state["FinishedAt"] < datetime.fromtimestamp(began + 2.4, UTC).isoformat()
    assert fresh_engine.wherry("wait", names[7]).stdout == "7\n"


def test_r14_auto_removed_containers_go_when_they_end_without_an_engine(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--rm", "--name", "gone", "busybox", "sleep", "1")
    fresh_engine.wherry("create", "--rm", "--name", "kept", "busybox", "true")
    fresh_engine.kill_engine()
    time.sleep(1.5)
    listed = fresh_engine.wherry("ps", "-a", "--format", "{{.Names}}").stdout.split()
    assert listed == ["kept"]
    fresh_engine.wherry("rm", "kept")
    eventually(lambda: os.listdir(fresh_engine.data_root / "containers/.trash") == [])
    assert os.listdir(fresh_engine.data_root / "containers") == [".trash"]


def test_r14_the_restart_policy_is_applied_across_a_crash(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry(
        "run", "-d", "--restart", "always", "--name", "again", "busybox", "sh", "-c", "sleep 0.2; exit 3"
    )
    fresh_engine.kill_engine()
    time.sleep(1.0)
    state = inspect(fresh_engine, "again")
    assert state["RestartCount"] >= 2
    assert state["State"]["Status"] in ("running", "restarting")
    fresh_engine.wherry("stop", "again")
    assert inspect(fresh_engine, "again")["State"]["Status"] == "exited"


def test_r15_a_killed_monitor_is_seen_and_nothing_of_its_container_stays(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "orphan", "busybox", "sleep", "300")
    pid = inspect(fresh_engine, "orphan")["State"]["Pid"]
    os.kill(monitor_of(pid), signal.SIGKILL)
    eventually(lambda: inspect(fresh_engine, "orphan")["State"]["Status"] == "exited")
    assert inspect(fresh_engine, "orphan")["State"]["ExitCode"] == 137
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))
    assert fresh_engine.wherry("start", "orphan").stdout == "orphan\n"


def test_r15_a_monitor_killed_while_the_engine_was_down(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "orphan", "busybox", "sleep", "300")
    pid = inspect(fresh_engine, "orphan")["State"]["Pid"]
    fresh_engine.kill_engine()
    os.kill(monitor_of(pid), signal.SIGKILL)
    state = inspect(fresh_engine, "orphan")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 137)
    eventually(lambda: not os.path.exists(f"/proc/{pid}"))


def test_r16_after_a_reboot_nothing_runs_and_policies_start_again(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "plain", "busybox", "sleep", "300")
    fresh_engine.wherry("run", "-d", "--restart", "always", "--name", "always", "busybox", "sleep", "300")
    pids = [inspect(fresh_engine, name)["State"]["Pid"] for name in ("plain", "always")]
    fresh_engine.wherry("system", "stop")
    for pid in pids:  # what a reboot does to monitors, containers and the run root
        os.kill(monitor_of(pid), signal.SIGKILL)
        os.kill(pid, signal.SIGKILL)
    pretend_another_boot(fresh_engine)
    state = inspect(fresh_engine, "plain")["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 255)
    eventually(lambda: inspect(fresh_engine, "always")["State"]["Running"])


def pretend_another_boot(engine: EngineUnderTest) -> None:
    """Write rows as an engine of an earlier boot would have left them."""
    database = sqlite3.connect(engine.data_root / "wherry.db")
    for container_id, document in database.execute("SELECT id, document FROM containers").fetchall():
        record = json.loads(document)
        assert record["state"]["status"] == "running"
        record["state"]["boot_id"] = "00000000-another-boot"
        database.execute(
            "UPDATE containers SET document = ? WHERE id = ?", (json.dumps(record).encode(), container_id)
        )
    database.commit()
    database.close()


def test_r01_half_made_containers_are_swept(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("ps")
    fresh_engine.kill_engine()
    orphan = "f" * 64
    (fresh_engine.data_root / "containers" / orphan).mkdir()
    (fresh_engine.run_root / "containers" / orphan).mkdir(parents=True)
    OverlaySnapshotter(str(fresh_engine.data_root)).prepare(orphan, None)
    snapshot = fresh_engine.data_root / "snapshots/active" / orphan
    assert snapshot.exists()
    fresh_engine.wherry("ps")
    fresh_engine.kill_engine()
    fresh_engine.wherry("ps")
    assert not (fresh_engine.run_root / "containers" / orphan).exists()
    eventually(lambda: not (fresh_engine.data_root / "containers" / orphan).exists())
    eventually(lambda: not snapshot.exists())

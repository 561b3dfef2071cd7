"""Events outlive the engine, and those that happened without one are told by the next, with their own times."""

import json
import time
from typing import Any

import pytest

from tests.engine_under_test import EngineUnderTest
from wherry import Client

pytestmark = pytest.mark.privileged


def events(engine: EngineUnderTest, *options: str) -> list[dict[str, Any]]:
    printed = engine.wherry("events", "--since", "1", "--until", str(time.time()), "--format", "json", *options)
    return [json.loads(line) for line in printed.stdout.splitlines()]


def actions(found: list[dict[str, Any]]) -> list[str]:
    return [event["Action"] for event in found]


def test_events_outlive_killed_and_stopped_engines_and_are_told_once(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "web", "busybox", "sleep", "60")
    fresh_engine.kill_engine()
    fresh_engine.wherry("exec", "web", "true")
    fresh_engine.wherry("system", "stop")
    fresh_engine.wherry("rm", "-f", "web")
    found = events(fresh_engine, "--filter", "container=web")
    assert [action.partition(":")[0] for action in actions(found)] == [
        "create", "start", "exec_create", "exec_start", "exec_die", "kill", "die", "destroy",
    ]  # fmt: skip
    times = [event["timeNano"] for event in found]
    assert times == sorted(set(times))
    assert "import" in actions(events(fresh_engine, "--filter", "type=image"))


def test_what_happened_without_an_engine_is_told_with_its_own_time(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry(
        "run", "-d", "--name", "web", "--restart", "on-failure:2", "--health-cmd", "true", "--health-interval", "300ms",
        "busybox", "sh", "-c", "sleep 0.8; exit 7",
    )  # fmt: skip
    fresh_engine.wherry("run", "-d", "--rm", "--name", "brief", "busybox", "sleep", "1")
    fresh_engine.wherry("system", "stop")
    stopped = time.time_ns()
    time.sleep(4)
    started_again = time.time_ns()
    found = events(fresh_engine, "--filter", "container=web")
    assert actions(found) == ["create", *["start", "health_status: healthy", "die"] * 3]
    assert all(stopped < event["timeNano"] < started_again for event in found if event["Action"] == "die")
    assert {event["Actor"]["Attributes"]["exitCode"] for event in found if event["Action"] == "die"} == {"7"}
    brief = events(fresh_engine, "--filter", "container=brief")
    assert actions(brief) == ["create", "start", "die", "destroy"]
    assert stopped < brief[2]["timeNano"] < started_again < brief[3]["timeNano"]
    fresh_engine.kill_engine()
    assert events(fresh_engine, "--filter", "container=web") == found
    fresh_engine.wherry("rm", "web")


def test_an_exec_is_found_by_the_next_engine(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "web", "busybox", "sleep", "60")
    fresh_engine.wherry("exec", "-d", "-e", "PASSWORD=secret", "-w", "/tmp", "web", "sleep", "50")
    assert fresh_engine.wherry("exec", "web", "sh", "-c", "exit 3", check=False).returncode == 3
    started = [event for event in events(fresh_engine) if event["Action"].startswith("exec_start")]
    running, ended = (event["Actor"]["Attributes"]["execID"] for event in started)
    with Client(f"unix://{fresh_engine.socket}") as client:
        before = [client.execs.inspect(exec_id) for exec_id in (running, ended)]
    fresh_engine.kill_engine()
    with Client(f"unix://{fresh_engine.socket}") as client:
        assert [client.execs.inspect(exec_id) for exec_id in (running, ended)] == before
        assert before[0]["Running"] and not before[1]["Running"]
        assert before[1]["ExitCode"] == 3
        assert client.containers.inspect("web")["ExecIDs"] == [running]
    fresh_engine.wherry("rm", "-f", "web")


def test_an_oom_kill_is_told_before_the_death_with_and_without_an_engine(fresh_engine: EngineUnderTest) -> None:
    hog = ("-m", "16m", "--memory-swap", "16m", "busybox", "sh", "-c", "sleep 1; exec tail /dev/zero")
    fresh_engine.wherry("run", "--name", "hog", *hog, check=False)
    fresh_engine.wherry("run", "-d", "--name", "alone", *hog)
    fresh_engine.wherry("system", "stop")
    time.sleep(2.5)
    began = time.time_ns()
    for name in ("hog", "alone"):
        found = events(
            fresh_engine, "--filter", f"container={name}", "--filter", "event=oom", "--filter", "event=die"
        )
        assert actions(found) == ["oom", "die"]
        assert found[1]["Actor"]["Attributes"]["exitCode"] == "137"
        assert found[1]["timeNano"] < began
    fresh_engine.wherry("rm", "hog", "alone")


def test_every_death_and_start_is_told_once_while_engines_are_killed(fresh_engine: EngineUnderTest) -> None:
    fresh_engine.wherry("run", "-d", "--name", "loop", "--restart", "always", "busybox", "sh", "-c", "exit 1")
    for _ in range(6):
        fresh_engine.kill_engine()
        fresh_engine.wherry("ps")
    fresh_engine.wherry("stop", "loop")
    found = events(fresh_engine, "--filter", "container=loop", "--filter", "event=start", "--filter", "event=die")
    told = actions(found)
    assert told == (["start", "die"] * len(told))[: len(told)]
    restarts = int(fresh_engine.wherry("inspect", "-f", "{{.RestartCount}}", "loop").stdout)
    assert told.count("start") in (restarts, restarts + 1)  # the last one may have been called off
    fresh_engine.wherry("rm", "loop")

"""Health checks: the rules on results, and real probes."""

from typing import Any

import pytest

from tests.monitor.conftest import Machine, wait_until
from wherry.monitor.health import HealthState


def result(code: int) -> dict[str, Any]:
    return {"Start": "", "End": "", "ExitCode": code, "Output": ""}


def statuses(state: HealthState, codes: list[int], *, in_start_period: bool = False) -> list[str]:
    out = []
    for code in codes:
        state.add(result(code), in_start_period=in_start_period)
        out.append(state.status)
    return out


def test_failures_in_a_row_make_it_unhealthy_and_one_success_heals() -> None:
    assert statuses(HealthState(retries=3), [1, 1, 0, 1, 1, 1, 0]) == [
        "starting", "starting", "healthy", "healthy", "healthy", "unhealthy", "healthy",
    ]  # fmt: skip


def test_failures_in_the_start_period_do_not_count_until_the_first_success() -> None:
    state = HealthState(retries=1)
    assert statuses(state, [1, 1, 1], in_start_period=True) == ["starting"] * 3
    assert state.failing_streak == 0
    assert statuses(state, [0, 1], in_start_period=True) == ["healthy", "unhealthy"]


def test_the_last_five_results_are_kept() -> None:
    state = HealthState(retries=100)
    for code in range(1, 9):
        state.add(result(code), in_start_period=False)
    assert [r["ExitCode"] for r in state.describe()["Log"]] == [4, 5, 6, 7, 8]


@pytest.mark.privileged
def test_a_container_becomes_healthy_and_unhealthy(machine: Machine) -> None:
    check = {"args": ["/bin/sh", "-c", "echo probe; test ! -e /tmp/sick"], "interval": 0.1, "retries": 2}
    box = machine.run(["/bin/sleep", "100"], health=check)
    wait_until(lambda: box.connection.state()["health"]["Status"] == "healthy", what="healthy")
    entry = box.connection.state()["health"]["Log"][0]
    assert entry["ExitCode"] == 0
    assert entry["Output"] == "probe\n"
    box.connection.exec("sicken", machine.spec(["/bin/touch", "/tmp/sick"])["process"])
    wait_until(lambda: box.connection.state()["health"]["Status"] == "unhealthy", what="unhealthy")
    changes = [e["status"] for e in box.named("health") if e["changed"]]
    assert changes == ["healthy", "unhealthy"]
    (machine.rootfs() / "tmp" / "sick").unlink()


@pytest.mark.privileged
def test_a_probe_that_takes_too_long_is_killed_and_says_so(machine: Machine) -> None:
    check = {"args": ["/bin/sh", "-c", "echo slow; sleep 100"], "interval": 0.1, "timeout": 0.2, "retries": 1}
    box = machine.run(["/bin/sleep", "100"], health=check)
    wait_until(lambda: box.named("health"), what="a result")
    taken = box.named("health")[0]["result"]
    assert taken["ExitCode"] == -1
    assert taken["Output"].startswith("Health check exceeded timeout (200ms)")


@pytest.mark.privileged
def test_the_output_of_a_probe_is_capped_and_a_missing_program_is_a_failure(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"], health={"args": ["/bin/seq", "1", "100000"], "interval": 0.1})
    wait_until(lambda: box.named("health"), what="a result")
    assert len(box.named("health")[0]["result"]["Output"]) == 4096
    box = machine.run(["/bin/sleep", "100"], health={"args": ["/bin/nothing"], "interval": 0.1})
    wait_until(lambda: box.named("health"), what="a result")
    assert box.named("health")[0]["result"]["ExitCode"] == -1
    assert "no such file" in box.named("health")[0]["result"]["Output"]


@pytest.mark.privileged
def test_a_paused_container_is_not_probed(machine: Machine) -> None:
    box = machine.run(["/bin/sleep", "100"], health={"args": ["/bin/true"], "interval": 0.05})
    wait_until(lambda: box.named("health"), what="a result")
    box.connection.pause()
    count = len(box.named("health"))
    box.connection.resume()
    wait_until(lambda: len(box.named("health")) > count + 1, what="more results")

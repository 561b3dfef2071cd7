"""Reading the usage of real processes, and the shapes that Docker's and runc's clients know."""

import os
import time
from pathlib import Path

import pytest

from tests.runtime_cgroups.conftest import Spawn, sleep_long
from wherry.runtime import cgroups
from wherry.runtime.cgroup_base import Cgroups
from wherry.runtime.cgroup_directory import CgroupFailure
from wherry.runtime.cgroup_layout import Layout
from wherry.runtime.cgroups_v2 import CgroupsV2
from wherry.runtime.stats import read_stats
from wherry.runtime.stats_format import docker_stats, runc_stats

MiB = 1 << 20


@pytest.mark.privileged
def test_what_processes_use_is_counted(cgroup_root: str, spawn: Spawn) -> None:
    limits = {"memory": {"limit": 128 * MiB}, "pids": {"limit": 50}, "cpu": {"quota": 10_000, "period": 100_000}}
    made = cgroups.create(f"{cgroup_root}/used", container_id="used", resources=limits)

    def work() -> None:
        held = bytearray(20 * MiB)
        deadline = time.monotonic() + 60
        while held and time.monotonic() < deadline:
            sum(range(10_000))

    spawn(made, work)
    spawn(made, sleep_long)
    deadline = time.monotonic() + 10
    reading = read_stats(made)
    while (reading["memory"]["usage"] < 20 * MiB or reading["cpu"]["throttled_periods"] < 2) and (
        time.monotonic() < deadline
    ):
        time.sleep(0.05)
        reading = read_stats(made)
    made.kill_all()
    made.delete()
    made.close()
    assert reading["pids"] == {"current": 2, "limit": 50}
    assert 20 * MiB < reading["memory"]["usage"] < 100 * MiB
    assert reading["memory"]["limit"] == 128 * MiB
    assert reading["cpu"]["usage"] > 5_000_000
    assert reading["cpu"]["throttled_periods"] >= 2
    assert reading["cpu"]["throttled_time"] > 0
    assert reading["oom_kills"] == 0


@pytest.mark.privileged
def test_dockers_shape(cgroup: Cgroups, spawn: Spawn) -> None:
    spawn(cgroup, sleep_long)
    reading = read_stats(cgroup)
    shaped = docker_stats(reading)
    assert set(shaped) == {"cpu_stats", "memory_stats", "blkio_stats", "pids_stats"}
    assert set(shaped["cpu_stats"]) == {"cpu_usage", "system_cpu_usage", "online_cpus", "throttling_data"}
    assert {"total_usage", "usage_in_kernelmode", "usage_in_usermode"} <= set(shaped["cpu_stats"]["cpu_usage"])
    assert shaped["cpu_stats"]["system_cpu_usage"] > shaped["cpu_stats"]["cpu_usage"]["total_usage"]
    # Without a limit the machine's memory is shown.
    assert shaped["memory_stats"]["limit"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert shaped["pids_stats"] == {"current": 1}
    assert len(shaped["blkio_stats"]) == 8


@pytest.mark.privileged
def test_runcs_shape(cgroup: Cgroups) -> None:
    shaped = runc_stats(read_stats(cgroup))
    assert {"cpu", "memory", "pids", "blkio", "hugetlb", "intel_rdt", "network_interfaces"} <= set(shaped)
    assert {"limit", "usage", "max", "failcnt"} == set(shaped["memory"]["usage"])
    assert shaped["memory"]["usage"]["limit"] == 2**64 - 1


@pytest.mark.privileged
def test_cgroups_that_are_gone_have_no_stats(cgroup: Cgroups) -> None:
    cgroup.delete()
    if cgroup.version == 2:
        with pytest.raises(CgroupFailure):
            read_stats(cgroup)
    else:
        assert read_stats(cgroup)["cpu"]["usage"] == 0


V2_FILES = {
    "cgroup.controllers": "cpu io memory pids hugetlb",
    "cpu.stat": "usage_usec 3000\nuser_usec 2000\nsystem_usec 1000\nnr_periods 5\nnr_throttled 2\nthrottled_usec 7\n",
    "memory.current": "4096\n",
    "memory.max": "max\n",
    "memory.peak": "8192\n",
    "memory.events": "max 3\noom_kill 1\n",
    "memory.stat": "anon 1024\nfile 2048\ninactive_file 512\n",
    "memory.swap.current": "100\n",
    "memory.swap.max": "1000\n",
    "pids.current": "4\n",
    "pids.max": "max\n",
    "io.stat": "8:0 rbytes=10 wbytes=20 rios=1 wios=2 dbytes=0 dios=0\n253:1 rbytes=5 wbytes=0 rios=1 wios=0\n",
    "hugetlb.2MB.current": "2097152\n",
    "hugetlb.2MB.max": "max\n",
    "hugetlb.2MB.events": "max 9\n",
}


@pytest.fixture
def v2_container(tmp_path: Path) -> CgroupsV2:
    (tmp_path / "c").mkdir()
    for name, text in V2_FILES.items():
        (tmp_path / "c" / name).write_text(text)
    return CgroupsV2(Layout(2, (), str(tmp_path)), "/c")


def test_v2_is_read_in_the_same_units(v2_container: CgroupsV2) -> None:
    reading = read_stats(v2_container)
    assert reading["cpu"]["usage"] == 3_000_000
    assert reading["cpu"]["throttled_time"] == 7_000
    assert reading["memory"]["usage"] == 4096
    assert reading["memory"]["limit"] is None
    assert reading["memory"]["max_usage"] == 8192
    assert reading["memory"]["swap"] == {"usage": 100, "limit": 1000, "max_usage": None, "failcnt": None}
    assert reading["pids"] == {"current": 4, "limit": 0}
    assert reading["io"]["io_service_bytes"] == [
        [8, 0, "read", 10],
        [8, 0, "write", 20],
        [253, 1, "read", 5],
        [253, 1, "write", 0],
    ]
    assert reading["hugetlb"] == {"2MB": {"usage": 2097152, "max": 0, "failcnt": 9}}
    assert reading["oom_kills"] == 1


def test_v2_in_dockers_shape_omits_what_only_v1_has(v2_container: CgroupsV2) -> None:
    shaped = docker_stats(read_stats(v2_container))
    assert "percpu_usage" not in shaped["cpu_stats"]["cpu_usage"]
    assert "max_usage" not in shaped["memory_stats"]
    assert shaped["memory_stats"]["stats"]["inactive_file"] == 512
    assert shaped["blkio_stats"]["io_service_bytes_recursive"][0] == {
        "major": 8,
        "minor": 0,
        "op": "read",
        "value": 10,
    }
    assert shaped["blkio_stats"]["io_time_recursive"] is None


def test_v2_in_runcs_shape(v2_container: CgroupsV2) -> None:
    shaped = runc_stats(read_stats(v2_container))
    assert shaped["memory"]["cache"] == 2048
    assert shaped["memory"]["swap"]["limit"] == 1000
    assert shaped["blkio"]["ioServicedRecursive"][1] == {"major": 8, "minor": 0, "op": "write", "value": 2}
    assert shaped["pids"] == {"current": 4}

"""Real cgroups of this machine (v1 and hybrid)."""

import errno
import json
import os
import select
import signal
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.descriptors import open_descriptors
from tests.runtime_cgroups.conftest import Spawn, sleep_long
from wherry.runtime import cgroups
from wherry.runtime.cgroup_base import Cgroups
from wherry.runtime.cgroup_directory import CgroupFailure
from wherry.runtime.failure import SpecInvalid

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.skipif(cgroups.system_layout().version != 1, reason="this machine has cgroup v2"),
]

MiB = 1 << 20


def value(cgroup: Cgroups, controller: str, name: str) -> str:
    return cgroup.directory(controller).read(name).strip()


@pytest.fixture
def bystander(cgroup_root: str) -> Iterator[Cgroups]:
    made = cgroups.create(f"{cgroup_root}/bystander", container_id="bystander")
    yield made
    made.kill_all()
    made.delete()
    made.close()


def test_a_child_joins_every_hierarchy(cgroup: Cgroups, spawn: Spawn) -> None:
    pid = spawn(cgroup, sleep_long)
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        paths = dict(line.rstrip("\n").split(":", 2)[1:] for line in file)
    own = {controllers for controllers in paths if controllers}  # the unified hierarchy of a hybrid machine stays
    assert {paths[controllers] for controllers in own} == {cgroup.path}
    assert cgroup.pids() == [pid]


def test_every_limit_arrives_in_its_file(cgroup_root: str) -> None:
    resources = {
        "memory": {"limit": 64 * MiB, "swap": 96 * MiB, "reservation": 32 * MiB, "swappiness": 10, "kernel": 5 * MiB,
                   "disableOOMKiller": True},
        "cpu": {"shares": 512, "quota": 50_000, "period": 200_000, "burst": 10_000, "cpus": "0", "mems": "0"},
        "pids": {"limit": 77},
    }  # fmt: skip
    made = cgroups.create(f"{cgroup_root}/limited", container_id="limited", resources=resources)
    try:
        assert {
            name: value(made, name.split(".")[0] if not name.startswith("cpuset") else "cpuset", name)
            for name in (
                "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes",
                "memory.swappiness", "cpu.shares", "cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.cfs_burst_us",
                "cpuset.cpus", "cpuset.mems", "pids.max",
            )
        } == {
            "memory.limit_in_bytes": str(64 * MiB), "memory.memsw.limit_in_bytes": str(96 * MiB),
            "memory.soft_limit_in_bytes": str(32 * MiB), "memory.swappiness": "10", "cpu.shares": "512",
            "cpu.cfs_quota_us": "50000", "cpu.cfs_period_us": "200000", "cpu.cfs_burst_us": "10000",
            "cpuset.cpus": "0", "cpuset.mems": "0", "pids.max": "77",
        }  # fmt: skip
        assert "oom_kill_disable 1" in value(made, "memory", "memory.oom_control")
    finally:
        made.delete()


def test_s65_device_rules_are_dockers_where_the_specification_denies_all(cgroup: Cgroups) -> None:
    assert value(cgroup, "devices", "devices.list").splitlines() == [
        "c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm", "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm",
        "c 5:1 rwm", "c 136:* rwm", "c 5:2 rwm",
    ]  # fmt: skip


def test_s65_a_process_may_make_any_node_but_open_only_those_allowed(
    cgroup: Cgroups, spawn: Spawn, tmp_path: Path
) -> None:
    def attempt() -> None:
        results = {}
        for name, major, minor in (("null", 1, 3), ("mem", 1, 1), ("fuse", 10, 229)):
            os.mknod(tmp_path / name, stat.S_IFCHR | 0o600, os.makedev(major, minor))
            try:
                os.close(os.open(tmp_path / name, os.O_RDONLY))
                results[name] = 0
            except OSError as exc:
                results[name] = exc.errno or -1
        (tmp_path / "results").write_text(json.dumps(results))

    os.waitpid(spawn(cgroup, attempt), 0)
    assert json.loads((tmp_path / "results").read_text()) == {"null": 0, "mem": errno.EPERM, "fuse": errno.EPERM}


def test_privileged_device_rules_allow_everything(cgroup_root: str) -> None:
    everything = {"devices": [{"allow": True, "access": "rwm"}]}
    made = cgroups.create(f"{cgroup_root}/all", container_id="all", resources=everything)
    assert value(made, "devices", "devices.list") == "a *:* rwm"
    made.delete()


def test_devices_can_be_left_for_later(cgroup_root: str) -> None:
    made = cgroups.create(f"{cgroup_root}/later", container_id="later", devices=False)
    assert value(made, "devices", "devices.list") == "a *:* rwm"
    made.apply(None)
    assert value(made, "devices", "devices.list").startswith("c *:* m")
    made.delete()


@pytest.mark.parametrize("steps", [[64, 256, 32, 128], [256, 32], [32, 512]])
def test_memory_and_swap_are_updated_up_and_down_in_an_order_that_holds(cgroup: Cgroups, steps: list[int]) -> None:
    for mebibytes in steps:
        cgroup.update({"memory": {"limit": mebibytes * MiB, "swap": mebibytes * 2 * MiB}})
        assert value(cgroup, "memory", "memory.limit_in_bytes") == str(mebibytes * MiB)
        assert value(cgroup, "memory", "memory.memsw.limit_in_bytes") == str(mebibytes * 2 * MiB)
    cgroup.update({"memory": {"limit": -1, "swap": -1}})
    assert int(value(cgroup, "memory", "memory.limit_in_bytes")) > 1 << 60


def test_no_memory_limit_takes_the_swap_limit_away_too(cgroup: Cgroups) -> None:
    cgroup.update({"memory": {"limit": 64 * MiB, "swap": 64 * MiB}})
    cgroup.update({"memory": {"limit": -1}})
    assert int(value(cgroup, "memory", "memory.memsw.limit_in_bytes")) > 1 << 60


@pytest.mark.parametrize(
    "steps",
    [
        [
            {"quota": 100_000, "period": 100_000},
            {"quota": 10_000, "period": 10_000},
            {"quota": 400_000, "period": 200_000},
        ],
        [{"quota": 50_000, "burst": 50_000}, {"quota": 20_000, "burst": 20_000}, {"quota": 80_000, "burst": 80_000}],
        [{"quota": 50_000, "burst": 50_000}, {"quota": -1, "burst": 0}],
    ],
)
def test_quota_period_and_burst_are_updated_together(cgroup: Cgroups, steps: list[dict[str, int]]) -> None:
    names = {"quota": "cpu.cfs_quota_us", "period": "cpu.cfs_period_us", "burst": "cpu.cfs_burst_us"}
    for step in steps:
        cgroup.update({"cpu": step})
        assert {key: int(value(cgroup, "cpu", names[key])) for key in step} == step


def test_a_limit_below_what_is_used_is_refused_with_runcs_words(cgroup: Cgroups, spawn: Spawn) -> None:
    def use_memory() -> None:
        held = bytearray(24 * MiB)
        time.sleep(60)
        del held

    spawn(cgroup, use_memory)
    deadline = time.monotonic() + 10
    while int(value(cgroup, "memory", "memory.usage_in_bytes")) < 20 * MiB and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(CgroupFailure, match=r"unable to set memory limit to 8388608: container memory usage is \d+"):
        cgroup.update({"memory": {"limit": 8 * MiB, "checkBeforeUpdate": True}})


def test_shares_that_the_kernel_would_clamp_are_refused(cgroup: Cgroups) -> None:
    with pytest.raises(CgroupFailure, match="the maximum allowed cpu-shares is 262144"):
        cgroup.update({"cpu": {"shares": 1 << 20}})
    with pytest.raises(CgroupFailure, match="the minimum allowed cpu-shares is 2"):
        cgroup.update({"cpu": {"shares": 1}})


@pytest.mark.parametrize("limit", [-1, -5])
def test_no_pids_limit_is_max(cgroup: Cgroups, limit: int) -> None:
    cgroup.update({"pids": {"limit": 5}})
    cgroup.update({"pids": {"limit": limit}})
    assert value(cgroup, "pids", "pids.max") == "max"


def test_s67_the_pids_limit_holds(cgroup: Cgroups, spawn: Spawn, tmp_path: Path) -> None:
    cgroup.update({"pids": {"limit": 3}})

    def fork_on() -> None:
        made = 0
        try:
            while made < 50:
                if os.fork() == 0:
                    time.sleep(60)
                    os._exit(0)
                made += 1
        except OSError as exc:
            (tmp_path / "result").write_text(f"{made} {exc.errno}")

    os.waitpid(spawn(cgroup, fork_on), 0)
    assert (tmp_path / "result").read_text() == f"2 {errno.EAGAIN}"
    cgroup.kill_all()


@pytest.mark.parametrize(
    ("resources", "error", "message"),
    [
        ({"unified": {"memory.high": "1"}}, SpecInvalid, "cannot use unified on cgroup v1"),
        ({"memory": {"swappiness": 101}}, SpecInvalid, "invalid memory swappiness value: 101"),
        ({"cpu": {"cpus": "4000"}}, CgroupFailure, "write '4000' to cpuset.cpus in cgroup"),
        ({"devices": [{"allow": True, "type": "z"}]}, Exception, "unknown type 'z'"),
        (
            {"hugepageLimits": [{"pageSize": "2MB", "limit": 1}]},
            CgroupFailure,
            "cgroup controller hugetlb is not available",
        ),
    ],
)
def test_a_resource_that_cannot_be_leaves_nothing_behind(
    cgroup_root: str, resources: dict[str, object], error: type[Exception], message: str
) -> None:
    if "hugepageLimits" in resources and os.path.exists("/sys/fs/cgroup/hugetlb"):
        pytest.skip("this machine has hugetlb")
    with pytest.raises(error, match=message):
        cgroups.create(f"{cgroup_root}/bad", container_id="bad", resources=resources)
    assert not cgroups.attach(f"{cgroup_root}/bad").has("memory")


def test_a_cgroup_in_use_is_refused_and_left_alone(cgroup: Cgroups, spawn: Spawn) -> None:
    pid = spawn(cgroup, sleep_long)
    with pytest.raises(CgroupFailure, match=r"container's cgroup is not empty: 1 process\(es\) found"):
        cgroups.create(cgroup.path, container_id="again")
    assert cgroup.pids() == [pid]


def test_an_empty_cgroup_left_by_a_crash_is_taken_over(cgroup: Cgroups) -> None:
    again = cgroups.create(cgroup.path, container_id="again", resources={"pids": {"limit": 9}})
    assert value(again, "pids", "pids.max") == "9"
    again.close()


def test_a_parent_that_another_monitor_has_only_begun_is_made_whole(cgroup_root: str, spawn: Spawn) -> None:
    """Between its mkdir and its first write a cpuset has no CPU; who joined one below it got ENOSPC."""
    cpusets = next(h.mount_point for h in cgroups.system_layout().hierarchies if "cpuset" in h.controllers)
    os.mkdir(cpusets + cgroup_root)
    assert Path(f"{cpusets}{cgroup_root}/cpuset.cpus").read_text() == "\n"
    made = cgroups.create(f"{cgroup_root}/container", container_id="container")
    try:
        pid = spawn(made, sleep_long)
        assert made.pids() == [pid]
    finally:
        made.kill_all()
        made.delete()
        made.close()


def test_freezing_stops_every_process_and_thawing_lets_them_go_on(cgroup: Cgroups, spawn: Spawn) -> None:
    reader, writer = os.pipe()

    def write_on() -> None:
        while True:
            os.write(writer, b"x")
            time.sleep(0.001)

    spawn(cgroup, write_on)
    assert os.read(reader, 1)
    os.set_blocking(reader, False)
    cgroup.freeze()
    assert cgroup.is_frozen()
    while select.select([reader], [], [], 0)[0]:
        os.read(reader, 1 << 16)
    time.sleep(0.05)
    with pytest.raises(BlockingIOError):
        os.read(reader, 1)
    cgroup.thaw()
    assert not cgroup.is_frozen()
    assert select.select([reader], [], [], 5)[0]
    os.close(reader)
    os.close(writer)


def test_killing_all_takes_a_fork_storm_and_sub_cgroups_and_no_bystander(
    cgroup: Cgroups, bystander: Cgroups, spawn: Spawn
) -> None:
    outside = spawn(bystander, sleep_long)

    def storm() -> None:
        # Made by the container itself, below its own cgroup.
        for hierarchy in cgroups.system_layout().hierarchies:
            os.makedirs(f"{hierarchy.mount_point}{cgroup.path}/nested", exist_ok=True)
        if os.fork() == 0:
            cgroups.attach(f"{cgroup.path}/nested").add_self()
        while True:
            if os.fork() == 0:
                os.setsid()
            time.sleep(0.0005)

    cgroup.update({"pids": {"limit": 60}})
    pid = spawn(cgroup, lambda: _ignoring_eagain(storm))
    time.sleep(0.1)
    assert len(cgroup.pids()) > 5
    reaper = threading.Thread(target=os.waitpid, args=(pid, 0))
    reaper.start()
    cgroup.kill_all()
    reaper.join()
    assert cgroup.pids() == []
    assert bystander.pids() == [outside]
    cgroup.delete()
    assert not cgroup.has("memory")


def _ignoring_eagain(function: object) -> None:
    while True:
        try:
            assert callable(function)
            function()
        except OSError:
            time.sleep(0.001)


def test_other_signals_reach_every_process(cgroup: Cgroups, spawn: Spawn) -> None:
    pids = [spawn(cgroup, sleep_long) for _ in range(3)]
    cgroup.kill_all(signal.SIGTERM)
    assert {os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids} == {-signal.SIGTERM}


def test_deleting_waits_for_the_last_breath_and_is_idempotent(cgroup: Cgroups, spawn: Spawn) -> None:
    pid = spawn(cgroup, sleep_long)

    def end_it() -> None:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)

    timer = threading.Timer(0.1, end_it)
    timer.start()
    cgroup.delete()
    timer.join()
    cgroup.delete()
    assert cgroup.pids() == []


def test_deleting_what_stays_in_use_says_how_many(cgroup: Cgroups, spawn: Spawn) -> None:
    spawn(cgroup, sleep_long)
    with pytest.raises(CgroupFailure, match=r"still used by 1 process\(es\)"):
        cgroup.delete(timeout_seconds=0.05)


def test_an_oom_kill_is_seen_and_announced(cgroup_root: str, spawn: Spawn) -> None:
    resources = {"memory": {"limit": 16 * MiB, "swap": 16 * MiB}}
    made = cgroups.create(f"{cgroup_root}/oom", container_id="oom", resources=resources)
    watch = made.watch_oom()
    assert watch is not None
    assert watch.eventfd
    assert not made.oom_killed()

    def eat() -> None:
        held = [bytearray(4 * MiB) for _ in range(64)]
        time.sleep(60)
        del held

    pid = spawn(made, eat)
    poll = select.poll()
    poll.register(watch.fd, watch.events)
    assert poll.poll(10_000)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert made.oom_killed()
    os.close(watch.fd)
    made.delete()


def test_a_saved_description_finds_the_same_cgroups(cgroup: Cgroups, spawn: Spawn) -> None:
    pid = spawn(cgroup, sleep_long)
    again = cgroups.load(json.loads(json.dumps(cgroup.save())))
    assert again.pids() == [pid]
    assert again.paths() == cgroup.paths()
    again.close()


def test_what_is_gone_answers_quietly(cgroup: Cgroups) -> None:
    cgroup.delete()
    assert cgroup.pids() == []
    assert not cgroup.is_frozen()
    assert cgroup.oom_kills() == 0
    assert cgroup.watch_oom() is None
    cgroup.kill_all()
    cgroup.delete()


def test_no_descriptor_is_left_open(cgroup_root: str) -> None:
    before = open_descriptors()
    for _ in range(3):
        made = cgroups.create(f"{cgroup_root}/fds", container_id="fds", resources={"memory": {"limit": 64 * MiB}})
        made.pids()
        made.oom_kills()
        made.delete()
        made.close()
    with pytest.raises(SpecInvalid):
        cgroups.create(f"{cgroup_root}/fds", container_id="fds", resources={"unified": {"a.b": "c"}})
    assert open_descriptors() <= before

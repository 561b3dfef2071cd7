"""cgroup v2 on a directory tree that stands in for the file system: what is written where, and in which order.

(The machines that this is developed on have v1; the device program is tested in the kernel in its own file.)
"""

import os
import select
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from wherry.runtime import resources_v2
from wherry.runtime.cgroup_directory import CgroupDirectory, CgroupFailure
from wherry.runtime.cgroup_layout import Layout
from wherry.runtime.cgroups_v2 import CgroupsV2
from wherry.runtime.failure import SpecInvalid

MiB = 1 << 20
CONTROLLERS = "cpuset cpu io memory hugetlb pids rdma"
FILES = {
    "cgroup.controllers": CONTROLLERS,
    "cgroup.subtree_control": "",
    "cgroup.procs": "",
    "cgroup.freeze": "0",
    "cgroup.events": "populated 1\nfrozen 0\n",
    "cgroup.max.depth": "max",
    "cpu.max": "max 100000",
    "cpu.max.burst": "0",
    "cpu.weight": "100",
    "cpu.idle": "0",
    "cpuset.cpus": "",
    "cpuset.mems": "",
    "memory.max": "max",
    "memory.low": "0",
    "memory.high": "max",
    "memory.swap.max": "max",
    "memory.current": str(20 * MiB),
    "memory.events": "low 0\nhigh 0\nmax 3\noom 2\noom_kill 1\noom_group_kill 0\n",
    "pids.max": "max",
    "io.max": "",
    "io.weight": "default 100",
    "hugetlb.2MB.max": "max",
    "rdma.max": "",
}

Tree = Callable[[str], Path]


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """Make a cgroup directory with its files, as mkdir would on cgroup2."""

    def make(path: str) -> Path:
        location = tmp_path / path.lstrip("/")
        location.mkdir(parents=True, exist_ok=True)
        for name, text in FILES.items():
            (location / name).write_text(text)
        return location

    make("")
    return make


@pytest.fixture
def container(tree: Tree, tmp_path: Path) -> CgroupsV2:
    tree("wherry/c")
    return CgroupsV2(Layout(2, (), str(tmp_path)), "/wherry/c")


def applied(container: CgroupsV2, resources: Mapping[str, object]) -> dict[str, str]:
    """The files that changed."""
    container.update(resources)
    directory = container.directory("")
    return {name: now for name, was in FILES.items() if (now := directory.read(name)) != was}


def test_memory_is_max_low_and_swap_without_memory(container: CgroupsV2) -> None:
    resources = {"memory": {"limit": 64 * MiB, "swap": 96 * MiB, "reservation": 32 * MiB, "swappiness": 5}}
    assert applied(container, resources) == {
        "memory.max": str(64 * MiB),
        "memory.swap.max": str(32 * MiB),
        "memory.low": str(32 * MiB),
    }


@pytest.mark.parametrize(
    ("limit", "swap", "expected"),
    [
        (64, 64, 0),
        (64, 128, 64),
        (64, -1, -1),
        (-1, None, -1),
        (-1, -1, -1),
        (64, None, None),
        (None, None, None),
        (None, -1, -1),
        (64, 0, None),
    ],
)
def test_swap_is_counted_apart(limit: int | None, swap: int | None, expected: int | None) -> None:
    assert resources_v2.swap_limit(limit, swap) == expected


@pytest.mark.parametrize(
    ("limit", "swap", "message"),
    [
        (None, 64, "unable to set swap limit without memory limit"),
        (-1, 64, "unable to set swap limit without memory limit"),
        (64, 32, "memory\\+swap limit should be >= memory limit"),
    ],
)
def test_swap_without_memory_or_below_it_is_refused(limit: int | None, swap: int, message: str) -> None:
    with pytest.raises(SpecInvalid, match=message):
        resources_v2.swap_limit(limit, swap)


@pytest.mark.parametrize(
    ("shares", "weight"), [(2, 1), (1024, 100), (262144, 10000), (1, 1), (500000, 10000), (512, 59)]
)
def test_shares_become_weights_on_a_curve_through_the_defaults(shares: int, weight: int) -> None:
    assert resources_v2.weight_from_shares(shares) == weight


def test_cpu_quota_and_period_are_one_file(container: CgroupsV2) -> None:
    assert applied(container, {"cpu": {"quota": 50000, "period": 200000}}) == {"cpu.max": "50000 200000"}
    assert applied(container, {"cpu": {"period": 100000}}) == {"cpu.max": "50000 100000"}
    assert applied(container, {"cpu": {"quota": -1}}) == {}


def test_cpu_burst_shares_idle_and_sets(container: CgroupsV2) -> None:
    resources = {"cpu": {"shares": 2048, "quota": 5000, "burst": 4000, "idle": 1, "cpus": "0-1", "mems": "0"}}
    assert applied(container, resources) == {
        "cpu.weight": str(resources_v2.weight_from_shares(2048)),
        "cpu.max": "5000 100000",
        "cpu.max.burst": "4000",
        "cpu.idle": "1",
        "cpuset.cpus": "0-1",
        "cpuset.mems": "0",
    }


def test_io_weight_is_spread_and_throttles_are_lines(container: CgroupsV2) -> None:
    block = {
        "weight": 10,
        "throttleReadBpsDevice": [{"major": 8, "minor": 0, "rate": 1000}],
    }
    assert applied(container, {"blockIO": block}) == {"io.weight": "default 1", "io.max": "8:0 rbps=1000"}
    lifted = {"blockIO": {"throttleWriteIOPSDevice": [{"major": 8, "minor": 0, "rate": 0}]}}
    assert applied(container, lifted)["io.max"] == "8:0 wiops=max"


def test_bfqs_own_weight_is_preferred(container: CgroupsV2, tmp_path: Path) -> None:
    (tmp_path / "wherry/c/io.bfq.weight").write_text("100")
    container.update({"blockIO": {"weight": 300}})
    assert container.directory("").read("io.bfq.weight") == "300"


def test_pids_hugetlb_rdma_and_unified(container: CgroupsV2) -> None:
    resources = {
        "pids": {"limit": 12},
        "hugepageLimits": [{"pageSize": "2MB", "limit": 4 * MiB}],
        "rdma": {"mlx5_1": {"hcaHandles": 3, "hcaObjects": 100}},
        "unified": {"memory.high": "1000", "cgroup.max.depth": "2"},
    }
    assert applied(container, resources) == {
        "pids.max": "12",
        "hugetlb.2MB.max": str(4 * MiB),
        "rdma.max": "mlx5_1 hca_handle=3 hca_object=100",
        "memory.high": "1000",
        "cgroup.max.depth": "2",
    }
    assert applied(container, {"pids": {"limit": -1}}).get("pids.max") is None


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("../memory.max", SpecInvalid, "must be a file name"),
        ("/etc/passwd", SpecInvalid, "must be a file name"),
        ("memory", SpecInvalid, "must be a file name"),
        ("cgroup.procs", SpecInvalid, "is not a limit"),
        ("cgroup.kill", SpecInvalid, "is not a limit"),
        ("misc.max", CgroupFailure, 'controller "misc" not available'),
        ("memory.nonsense", CgroupFailure, "No such file"),
    ],
)
def test_s44_unified_names_only_limits_of_this_cgroup(
    container: CgroupsV2, name: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        container.update({"unified": {name: "1"}})


@pytest.mark.parametrize("resources", [{"network": {"classID": 1}}, {"cpu": {"realtimeRuntime": 1000}}])
def test_what_v2_does_not_have_is_refused(container: CgroupsV2, resources: Mapping[str, object]) -> None:
    with pytest.raises(SpecInvalid, match="not supported on cgroup v2"):
        container.update(resources)


def test_a_limit_below_what_is_used_is_refused(container: CgroupsV2) -> None:
    with pytest.raises(
        CgroupFailure, match=f"unable to set memory limit to {MiB}: container memory usage is {20 * MiB}"
    ):
        container.update({"memory": {"limit": MiB, "checkBeforeUpdate": True}})


def test_making_enables_the_controllers_in_every_cgroup_above_and_not_in_it(tree: Tree, tmp_path: Path) -> None:
    tree("wherry")
    tree("wherry/new")
    CgroupsV2(Layout(2, (), str(tmp_path)), "/wherry/new").make()
    for above in ("", "wherry"):
        # A stand-in keeps the last write only; in the kernel they add up.
        assert (tmp_path / above / "cgroup.subtree_control").read_text() == "+rdma"
    assert (tmp_path / "wherry/new/cgroup.subtree_control").read_text() == ""


def test_a_cgroup_in_use_is_refused(tree: Tree, tmp_path: Path) -> None:
    (tree("wherry/used") / "cgroup.procs").write_text("123\n456\n")
    with pytest.raises(CgroupFailure, match=r"not empty: 2 process\(es\) found"):
        CgroupsV2(Layout(2, (), str(tmp_path)), "/wherry/used").make()


def test_joining_writes_zero_and_clone_has_a_descriptor(container: CgroupsV2) -> None:
    container.add_self()
    assert container.directory("").read("cgroup.procs") == "0"
    assert container.join_fd is not None
    assert os.path.samestat(os.fstat(container.join_fd), os.stat(container.paths()[""]))


def test_freezing_writes_and_reads_the_state(container: CgroupsV2, tmp_path: Path) -> None:
    assert not container.is_frozen()
    container.set_frozen(frozen=True)
    assert container.directory("").read("cgroup.freeze") == "1"
    (tmp_path / "wherry/c/cgroup.events").write_text("populated 1\nfrozen 1\n")
    container.freeze()
    assert container.is_frozen()
    container.thaw()
    assert container.directory("").read("cgroup.freeze") == "0"


def test_killing_uses_the_kernels_switch(container: CgroupsV2, tmp_path: Path) -> None:
    (tmp_path / "wherry/c/cgroup.kill").write_text("")
    container.kill_all()
    assert (tmp_path / "wherry/c/cgroup.kill").read_text() == "1"


def test_oom_kills_are_counted_and_watched(container: CgroupsV2) -> None:
    assert container.oom_kills() == 1
    assert container.oom_killed()
    watch = container.watch_oom()
    assert watch is not None
    assert watch.events == select.POLLPRI
    os.close(watch.fd)


def test_processes_below_count_too(container: CgroupsV2, tree: Tree) -> None:
    (tree("wherry/c") / "cgroup.procs").write_text("1\n")
    (tree("wherry/c/inner/deep") / "cgroup.procs").write_text("2\n3\n")
    assert sorted(container.pids()) == [1, 2, 3]
    assert container.pids(everything=False) == [1]


@pytest.mark.privileged
def test_a_real_empty_hierarchy_can_be_joined_frozen_killed_and_removed(cgroup_root: str) -> None:
    """On a hybrid machine the unified hierarchy has no controllers, but all of the core."""
    from wherry.runtime import cgroups

    unified = cgroups.system_layout().unified
    if unified is None:
        pytest.skip("no cgroup2 mounted here")
    made = CgroupsV2(Layout(2, (), unified), f"{cgroup_root}/real")
    made.make()
    made.apply(None)
    pid = os.fork()
    if pid == 0:
        made.add_self()
        os.mkdir(f"{unified}{made.path}/inner")
        select.select([], [], [], 60)
        os._exit(0)
    while not os.path.isdir(f"{unified}{made.path}/inner"):
        select.select([], [], [], 0.001)
    assert made.pids() == [pid]
    made.freeze()
    made.thaw()
    made.kill_all()
    assert os.waitpid(pid, 0) == (pid, 9)
    made.delete()
    assert not os.path.exists(f"{unified}{made.path}")
    assert made.pids() == []
    made.kill_all()


def test_a_directory_is_opened_once_and_closed(container: CgroupsV2) -> None:
    first = container.directory("memory")
    assert container.directory("cpu") is first
    assert isinstance(first, CgroupDirectory)
    container.close()
    assert first.fd == -1

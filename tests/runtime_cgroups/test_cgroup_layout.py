"""Finding the hierarchies, and paths that stay where they belong (S44)."""

import pytest

from wherry.runtime import cgroup_layout
from wherry.runtime.cgroup_layout import CgroupsMissing
from wherry.runtime.failure import SpecInvalid

V1 = """\
31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,xattr,release_agent=/lib/agent,name=systemd
"""
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n"
V2 = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
NAMED_ONLY = "40 31 0:37 / /sys/fs/cgroup/systemd rw - cgroup cgroup rw,name=systemd\n"


def test_v1_hybrid_and_v2_are_told_apart() -> None:
    assert cgroup_layout.detect(V1).name == "v1"
    assert cgroup_layout.detect(V1 + UNIFIED).name == "hybrid"
    assert cgroup_layout.detect(V2).name == "v2"
    assert cgroup_layout.detect(V2 + NAMED_ONLY).name == "v2"


def test_co_mounted_controllers_share_a_hierarchy_and_options_are_no_controllers() -> None:
    layout = cgroup_layout.detect(V1)
    assert [h.controllers for h in layout.hierarchies] == [("cpu", "cpuacct"), ("memory",), ("name=systemd",)]
    assert layout.hierarchies[0].mount_point == "/sys/fs/cgroup/cpu,cpuacct"


def test_a_hierarchy_mounted_twice_is_counted_once() -> None:
    again = "50 31 0:32 / /mnt/memory rw,relatime - cgroup cgroup rw,memory\n"
    assert len(cgroup_layout.detect(V1 + again).hierarchies) == 3


def test_a_machine_without_cgroups_is_told_so() -> None:
    with pytest.raises(CgroupsMissing):
        cgroup_layout.detect("22 1 8:1 / / rw - ext4 /dev/sda1 rw\n")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/docker/abc", "/docker/abc"),
        ("//docker/./abc/", "/docker/abc"),
        ("relative/abc", "/wherry/relative/abc"),
        (None, "/wherry/id"),
        ("", "/wherry/id"),
        ("/a:b:c", "/a:b:c"),
        ("user.slice:libpod:abc", "/user.slice/libpod-abc.scope"),
        ("user-1000.slice:libpod:abc", "/user.slice/user-1000.slice/libpod-abc.scope"),
        (":wherry:abc", "/system.slice/wherry-abc.scope"),
        ("machine.slice::abc", "/machine.slice/abc.scope"),
        ("-.slice:wherry:abc", "/wherry-abc.scope"),
        ("machine.slice:x:pod.slice", "/machine.slice/pod.slice"),
    ],
)
def test_paths_of_both_drivers_become_directories(path: str | None, expected: str) -> None:
    assert cgroup_layout.container_path(path, "id") == expected


@pytest.mark.parametrize(
    "path",
    ["/..", "../../..", "/wherry/../../x", "a/../../b", "/", "//", ".", "/a\nb", "/a\0b", "..:x:y", "a/b.slice:x:y",
     "x-.slice:a:b", "x:y:z", "s.slice:p:"],
)  # fmt: skip
def test_s44_a_path_that_climbs_or_is_none_is_refused(path: str) -> None:
    with pytest.raises(SpecInvalid):
        cgroup_layout.container_path(path, "id")

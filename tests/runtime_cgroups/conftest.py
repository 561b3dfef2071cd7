"""A cgroup of the test's own in every hierarchy, removed at its end, and processes to put into it."""

import os
import secrets
import signal
import time
from collections.abc import Callable, Iterator

import pytest

from wherry.runtime import cgroups
from wherry.runtime.cgroup_base import Cgroups
from wherry.runtime.cgroup_directory import CgroupDirectory


@pytest.fixture
def cgroup_root() -> Iterator[str]:
    """The path below which the test makes its cgroups. Whatever is still there at the end fails the test."""
    path = f"/wherry-test-{secrets.token_hex(4)}"
    yield path
    layout = cgroups.system_layout()
    mount_points = [h.mount_point for h in layout.hierarchies] + ([layout.unified] if layout.unified else [])
    left = []
    for mount_point in mount_points:
        if os.path.isdir(mount_point + path):
            left += os.listdir(mount_point + path) and [
                e.name for e in os.scandir(mount_point + path) if e.is_dir(follow_symlinks=False)
            ]
            directory = CgroupDirectory(mount_point + path)
            directory.remove(timeout_seconds=5)
            directory.close()
    assert not left


@pytest.fixture
def cgroup(cgroup_root: str) -> Iterator[Cgroups]:
    """A new container's cgroups without limits."""
    made = cgroups.create(f"{cgroup_root}/container", container_id="container")
    yield made
    made.kill_all()
    made.delete()
    made.close()


Spawn = Callable[[Cgroups, Callable[[], object]], int]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Fork a process that joins a cgroup and then runs a function; it is killed and reaped at the end."""
    pids: list[int] = []
    groups: list[Cgroups] = []

    def run(joined: Cgroups, function: Callable[[], object]) -> int:
        ready, told = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                joined.add_self()
                os.write(told, b"x")
                function()
            finally:
                os._exit(0)
        pids.append(pid)
        groups.append(joined)
        os.close(told)
        assert os.read(ready, 1) == b"x"
        os.close(ready)
        return pid

    yield run
    for group in groups:
        if group.is_frozen():
            group.thaw()  # a test failed in between; frozen processes do not die
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue  # the test has reaped it
        try:
            os.waitpid(pid, 0)
        except ChildProcessError:
            pass  # likewise


def sleep_long() -> None:
    """What a process in a cgroup does while the test looks at it."""
    time.sleep(60)

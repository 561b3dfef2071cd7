"""The eBPF device program in the kernel: v2 cgroups can be had below the unified hierarchy of a hybrid machine too."""

import errno
import json
import os
import stat
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from wherry.linux import bpf
from wherry.runtime import cgroups, device_program
from wherry.security import devices
from wherry.security.devices import DevicePolicy, DeviceRule

pytestmark = pytest.mark.privileged

NODES = {"null": (1, 3), "zero": (1, 5), "mem": (1, 1), "fuse": (10, 229)}
FLAGS = {"r": os.O_RDONLY, "w": os.O_WRONLY}


@pytest.fixture
def unified(cgroup_root: str) -> Iterator[str]:
    """A v2 cgroup of our own."""
    layout = cgroups.system_layout()
    if layout.unified is None:
        pytest.skip("no cgroup2 mounted here")
    location = f"{layout.unified}{cgroup_root}"
    os.mkdir(location)
    yield location
    os.rmdir(location)


Try = Callable[[DevicePolicy], dict[str, str]]


@pytest.fixture
def attempt(unified: str, tmp_path: Path) -> Try:
    """Apply a policy, then try every node and access from a process inside; "" where it worked, else the errno."""
    for name, (major, minor) in NODES.items():
        os.mknod(tmp_path / name, stat.S_IFCHR | 0o600, os.makedev(major, minor))

    def inside() -> dict[str, str]:
        results = {}
        for name, (major, minor) in NODES.items():
            path, node, device = tmp_path / name, tmp_path / f"new-{name}", os.makedev(major, minor)
            for letter, flag in FLAGS.items():
                results[f"{name} {letter}"] = _outcome(partial(_open_and_close, path, flag))
            results[f"{name} m"] = _outcome(partial(os.mknod, node, stat.S_IFCHR | 0o600, device))
            node.unlink(missing_ok=True)
        return results

    def run(policy: DevicePolicy) -> dict[str, str]:
        group = os.open(unified, os.O_RDONLY | os.O_DIRECTORY)
        device_program.attach(group, policy)
        os.close(group)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                with open(f"{unified}/cgroup.procs", "w", encoding="ascii") as file:
                    file.write("0")
                os.write(writer, json.dumps(inside()).encode())
            finally:
                os._exit(0)
        os.close(writer)
        os.waitpid(pid, 0)
        with open(reader, "rb") as file:
            results: dict[str, str] = json.loads(file.read())
        return results

    return run


def _open_and_close(path: Path, flag: int) -> None:
    os.close(os.open(path, flag))


def _outcome(action: Callable[[], object]) -> str:
    try:
        action()
    except OSError as exc:
        return errno.errorcode[exc.errno or 0]
    return ""


def refused(results: dict[str, str]) -> set[str]:
    """What the program said no to (a device without a driver gives ENXIO or ENODEV: it was let through)."""
    return {what for what, outcome in results.items() if outcome == "EPERM"}


def test_s65_dockers_policy_lets_any_node_be_made_and_only_the_default_ones_be_opened(attempt: Try) -> None:
    results = attempt(devices.container_policy([{"allow": False, "access": "rwm"}]))
    assert refused(results) == {"mem r", "mem w", "fuse r", "fuse w"}


def test_an_access_must_be_covered_whole(attempt: Try) -> None:
    assert refused(attempt(devices.policy([devices.parse_rule("c 1:3 r"), devices.parse_rule("c 1:5 wm")]))) == {
        *(f"{name} {letter}" for name in ("mem", "fuse") for letter in "rwm"),
        "null w", "null m", "zero r",
    }  # fmt: skip


def test_wildcards_match_any_number_of_their_kind_only(attempt: Try) -> None:
    assert refused(attempt(devices.policy([devices.parse_rule("c 1:* rwm")]))) == {"fuse r", "fuse w", "fuse m"}
    assert len(refused(attempt(devices.policy([devices.parse_rule("b *:* rwm")])))) == 12


def test_where_all_is_allowed_a_denial_takes_any_part(attempt: Try) -> None:
    policy = devices.policy([DeviceRule("a", None, None, "rwm"), DeviceRule("c", 1, 5, "w", allow=False)])
    assert refused(attempt(policy)) == {"zero w"}
    assert refused(attempt(devices.policy([DeviceRule("a", None, None, "rwm")]))) == set()


def test_a_new_policy_takes_the_place_of_the_old_one(attempt: Try, unified: str) -> None:
    nothing = devices.policy([])
    assert len(refused(attempt(nothing))) == 12
    assert refused(attempt(DevicePolicy(allow_all=True, exceptions=()))) == set()
    group = os.open(unified, os.O_RDONLY | os.O_DIRECTORY)
    attached = bpf.attached_cgroup_devices(group)
    assert len(attached) == 1
    for fd in (group, *attached):
        assert not os.get_inheritable(fd)
        os.close(fd)


def test_a_long_list_of_rules_is_accepted_by_the_verifier(attempt: Try) -> None:
    rules = [DeviceRule("c", 200 + n // 16, n % 16, "rw") for n in range(800)]
    assert refused(attempt(devices.policy([*rules, devices.parse_rule("c 1:3 rwm")]))) == {
        f"{name} {letter}" for name in ("zero", "mem", "fuse") for letter in "rwm"
    }

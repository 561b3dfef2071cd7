"""New and joined namespaces, user mappings, time offsets."""

import os
import time
from collections.abc import Iterator

import pytest

from tests.runtime.container import Runner, Spec, base_spec, shell
from wherry.linux.namespaces import PROC_NAMES
from wherry.runtime.failure import RuntimeFailure, SpecInvalid

pytestmark = pytest.mark.privileged


def _set(spec: Spec, kind: str, path: str = "") -> None:
    namespaces = [entry for entry in spec["linux"]["namespaces"] if entry["type"] != kind]
    namespaces.append({"type": kind, **({"path": path} if path else {})})
    spec["linux"]["namespaces"] = namespaces


@pytest.fixture
def neighbour(runner: Runner) -> Iterator[int]:
    """The pid of a running container to share namespaces with."""
    yield runner.start(base_spec("sleep", "60")).created.pid


def test_every_new_namespace_differs_from_the_hosts(runner: Runner) -> None:
    kinds = ["mnt", "net", "uts", "pid", "ipc", "cgroup"]
    result = runner.sh("; ".join(f"readlink /proc/self/ns/{kind}" for kind in kinds))
    host = [os.readlink(f"/proc/self/ns/{kind}") for kind in kinds]
    assert result.status == 0
    assert len(result.lines) == len(kinds)
    assert not set(result.lines) & set(host)


def test_the_init_is_pid_1_and_sees_only_its_own(runner: Runner) -> None:
    result = runner.sh("echo $$; ls /proc | grep -c '^[0-9]'")
    assert result.lines[0] == "1"
    assert int(result.lines[1]) <= 4


def test_hostname_and_domainname_are_set(runner: Runner) -> None:
    def change(spec: Spec) -> None:
        spec["hostname"], spec["domainname"] = "some-name", "example.test"

    result = runner.sh("hostname; cat /proc/sys/kernel/domainname", change)
    assert result.lines == ["some-name", "example.test"]
    assert os.uname().nodename != "some-name"


@pytest.mark.parametrize("kind", ["network", "uts", "ipc", "pid"])
def test_a_namespace_is_joined_by_path(runner: Runner, neighbour: int, kind: str) -> None:
    path = f"/proc/{neighbour}/ns/{PROC_NAMES[kind]}"
    spec = shell(f"readlink /proc/self/ns/{PROC_NAMES[kind]}")
    del spec["hostname"]
    _set(spec, kind, path)
    assert runner.run(spec).output.strip() == os.readlink(path)


def test_a_joined_pid_namespace_makes_the_process_a_child_of_the_caller(runner: Runner, neighbour: int) -> None:
    spec = shell("ps | grep -c 'sleep 60$'")
    _set(spec, "pid", f"/proc/{neighbour}/ns/pid")
    result = runner.run(spec)  # reaped by waitpid here
    assert (result.status, result.output.strip()) == (0, "1")


def test_without_a_network_namespace_the_hosts_is_used(runner: Runner) -> None:
    spec = shell("readlink /proc/self/ns/net")
    spec["linux"]["namespaces"] = [e for e in spec["linux"]["namespaces"] if e["type"] != "network"]
    assert runner.run(spec).output.strip() == os.readlink("/proc/self/ns/net")


def test_a_network_namespace_descriptor_replaces_the_specs(runner: Runner, neighbour: int) -> None:
    fd = os.open(f"/proc/{neighbour}/ns/net", os.O_RDONLY)
    try:
        result = runner.run(shell("readlink /proc/self/ns/net"), network_namespace_fd=fd)
    finally:
        os.close(fd)
    assert result.output.strip() == os.readlink(f"/proc/{neighbour}/ns/net")


def test_time_offsets_move_the_monotonic_and_boot_clocks(runner: Runner) -> None:
    spec = shell("cat /proc/self/timens_offsets; cut -d. -f1 /proc/uptime")
    _set(spec, "time")
    spec["linux"]["timeOffsets"] = {"boottime": {"secs": 1_000_000}, "monotonic": {"secs": 5000, "nanosecs": 7}}
    result = runner.run(spec)
    assert result.lines[0].split() == ["monotonic", "5000", "7"]
    assert abs(int(result.lines[2]) - (time.clock_gettime(time.CLOCK_BOOTTIME) + 1_000_000)) < 60
    with open("/proc/self/timens_offsets", encoding="ascii") as file:
        assert "1000000" not in file.read()


def _with_users(spec: Spec, runner: Runner) -> Spec:
    _set(spec, "user")
    spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = [
        {"containerID": 0, "hostID": 200000, "size": 65536}
    ]
    for folder, names, _ in os.walk(runner.rootfs):
        for name in (".", *names):
            os.chown(f"{folder}/{name}", 200000, 200000)
    os.chmod(os.path.dirname(runner.bundle), 0o755)
    return spec


def test_a_user_namespace_maps_root(runner: Runner) -> None:
    spec = _with_users(
        shell("id -u; cat /proc/self/uid_map; touch /tmp/made; ls -l /dev/null; echo x > /dev/null"), runner
    )
    result = runner.run(spec)
    assert result.status == 0, result.output
    assert result.lines[0] == "0"
    assert result.lines[1].split() == ["0", "200000", "65536"]
    assert os.stat(f"{runner.rootfs}/tmp/made").st_uid == 200000


def test_exec_enters_the_user_namespace(runner: Runner) -> None:
    running = runner.start(_with_users(base_spec("sleep", "60"), runner))
    result = running.execute("sh", "-c", "id -u; cat /proc/self/uid_map; grep CapEff /proc/self/status")
    assert result.lines[0] == "0"
    assert result.lines[1].split()[1] == "200000"
    assert os.stat(f"/proc/{running.created.pid}").st_uid == 200000


def test_a_joined_user_namespace_takes_new_ones_along(runner: Runner) -> None:
    first = runner.start(_with_users(base_spec("sleep", "60"), runner))
    spec = shell("readlink /proc/self/ns/user; id -u; echo $$")
    path = f"/proc/{first.created.pid}/ns/user"
    _set(spec, "user", path)
    assert runner.run(spec).lines == [os.readlink(path), "0", "1"]


def test_a_user_namespace_without_mappings_is_refused(runner: Runner) -> None:
    spec = base_spec("true")
    _set(spec, "user")
    with pytest.raises(SpecInvalid, match="no uid and gid mappings"):
        runner.run(spec)


def test_a_missing_namespace_path_is_named(runner: Runner) -> None:
    spec = base_spec("true")
    _set(spec, "network", "/nowhere/net")
    with pytest.raises(RuntimeFailure, match="open /nowhere/net: no such file or directory"):
        runner.run(spec)


def test_a_doubled_namespace_is_refused(runner: Runner) -> None:
    spec = base_spec("true")
    spec["linux"]["namespaces"].append({"type": "uts"})
    with pytest.raises(SpecInvalid, match="duplicated"):
        runner.run(spec)


def test_s46_the_cgroup_mount_is_private_and_read_only(runner: Runner) -> None:
    result = runner.sh(
        "cut -d: -f3 /proc/self/cgroup | sort -u; for d in /sys/fs/cgroup/*; do mkdir $d/x && echo made; done"
    )
    assert result.lines[0] == "/"
    assert "made" not in result.output
    assert "Read-only file system" in result.output


def test_s45_no_cgroup_file_system_can_be_mounted(runner: Runner) -> None:
    result = runner.sh("mkdir /tmp/c; mount -t cgroup -o memory c /tmp/c || echo refused; cat /tmp/c/release_agent")
    assert "refused" in result.output
    assert "'/tmp/c/release_agent': No such file" in result.output

"""Mounts of every kind and option, and what a hostile root file system cannot do with them."""

import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.runtime.container import Runner, Spec, base_spec, shell
from wherry.linux import mountinfo
from wherry.runtime.failure import RuntimeFailure, SpecInvalid

pytestmark = pytest.mark.privileged


def _mount(spec: Spec, destination: str, source: str, *options: str, kind: str = "bind", **more: Any) -> Spec:
    spec["mounts"].append(
        {"destination": destination, "source": source, "type": kind, "options": list(options), **more}
    )
    return spec


@pytest.fixture
def volume(tmp_path: object) -> str:
    """A directory of the host with a file in it."""
    path = f"{tmp_path}/volume"
    os.mkdir(path)
    with open(f"{path}/file", "w", encoding="ascii") as file:
        file.write("content\n")
    return path


@pytest.fixture
def nested(volume: str) -> Iterator[str]:
    """The volume with a tmpfs mounted in it."""
    os.mkdir(f"{volume}/sub")
    subprocess.run(["mount", "-t", "tmpfs", "x", f"{volume}/sub"], check=True)
    yield volume
    subprocess.run(["umount", f"{volume}/sub"], check=True)


def test_a_bind_mount_shows_and_takes_files(runner: Runner, volume: str) -> None:
    result = runner.run(_mount(shell("cat /data/file; echo new > /data/made"), "/data", volume, "rbind", "rw"))
    assert result.output == "content\n"
    assert os.path.exists(f"{volume}/made")


def test_a_file_is_bound_over_a_missing_path(runner: Runner, volume: str) -> None:
    spec = _mount(shell("cat /etc/deep/er/file"), "/etc/deep/er/file", f"{volume}/file", "bind")
    assert runner.run(spec).output == "content\n"


def test_a_read_only_bind_refuses_writes_but_not_below_it(runner: Runner, nested: str) -> None:
    result = runner.run(_mount(shell("touch /d/x; touch /d/sub/x && echo below"), "/d", nested, "rbind", "ro"))
    assert "Read-only" in result.output
    assert "below" in result.output


def test_a_recursively_read_only_bind_refuses_everywhere(runner: Runner, nested: str) -> None:
    result = runner.run(_mount(shell("touch /d/x; touch /d/sub/x"), "/d", nested, "rbind", "rro"))
    assert result.output.count("Read-only") == 2


def test_a_non_recursive_bind_leaves_submounts_out(runner: Runner, nested: str) -> None:
    subprocess.run(["touch", f"{nested}/sub/hidden"], check=True)
    assert "hidden" not in runner.run(_mount(shell("ls /d/sub"), "/d", nested, "bind")).output
    assert "hidden" in runner.run(_mount(shell("ls /d/sub"), "/d", nested, "rbind")).output


def test_attributes_appear_on_the_mount(runner: Runner, volume: str) -> None:
    spec = _mount(
        shell("grep ' /d ' /proc/self/mounts"), "/d", volume, "bind", "nosuid", "nodev", "noexec", "noatime"
    )
    options = runner.run(spec).output.split()[3].split(",")
    assert {"nosuid", "nodev", "noexec", "noatime"} <= set(options)


def test_an_idmapped_bind_translates_owners(runner: Runner, volume: str) -> None:
    mapping = [{"containerID": 0, "hostID": 1000, "size": 10}]
    spec = _mount(shell("stat -c %u /d/file"), "/d", volume, "bind", "idmap",
                  uidMappings=mapping, gidMappings=mapping)  # fmt: skip
    result = runner.run(spec)
    assert result.output.strip() == "1000"


def test_a_tmpfs_takes_size_and_mode(runner: Runner) -> None:
    spec = _mount(shell("stat -c %a /scratch; grep ' /scratch ' /proc/mounts"), "/scratch", "tmpfs", "size=1m",
                  "mode=1770", kind="tmpfs")  # fmt: skip
    result = runner.run(spec)
    assert result.lines[0] == "1770"
    assert "size=1024k" in result.lines[1]


def test_a_tmpfs_keeps_the_mode_of_what_it_covers(runner: Runner) -> None:
    spec = _mount(shell("stat -c %a /tmp"), "/tmp", "tmpfs", kind="tmpfs")
    assert runner.run(spec).output.strip() == "1777"


def test_tmpcopyup_shows_the_images_files(runner: Runner) -> None:
    spec = _mount(shell("cat /etc/passwd; touch /etc/x"), "/etc", "tmpfs", "tmpcopyup", kind="tmpfs")
    assert "alice" in runner.run(spec).output
    assert not os.path.exists(f"{runner.rootfs}/etc/x")


def test_s56_nothing_the_container_mounts_reaches_the_host(runner: Runner, volume: str) -> None:
    before = [item.mount_point for item in mountinfo.read()]
    spec = _mount(shell("grep -c shared: /proc/self/mountinfo; sleep 60"), "/d", volume, "rbind")
    running = runner.start(spec)
    assert running.execute("sh", "-c", "grep -E 'shared:' /proc/self/mountinfo || echo none").output == "none\n"
    assert [item.mount_point for item in mountinfo.read()] == before


def test_a_missing_source_is_named(runner: Runner) -> None:
    with pytest.raises(RuntimeFailure, match='"/nope" to rootfs at "/d": stat /nope: no such file or directory'):
        runner.run(_mount(base_spec("true"), "/d", "/nope", "bind"))


def test_a_directory_over_a_file_says_what_is_wrong(runner: Runner, volume: str) -> None:
    with pytest.raises(RuntimeFailure, match="Are you trying to mount a directory onto a file"):
        runner.run(_mount(base_spec("true"), "/etc/passwd", volume, "bind"))


@pytest.fixture
def victim(tmp_path: object) -> Iterator[str]:
    """A directory of the host that a hostile root points at; it must be the same afterwards."""
    path = f"{tmp_path}/victim"
    os.mkdir(path)
    with open(f"{path}/secret", "w", encoding="ascii") as file:
        file.write("canary")
    yield path
    assert sorted(os.listdir(path)) == ["secret"]
    with open(f"{path}/secret", encoding="ascii") as file:
        assert file.read() == "canary"


@pytest.mark.parametrize("mounted", [True, False], ids=["tmpfs on dev", "no mount on dev"])
@pytest.mark.parametrize("climbing", [True, False], ids=["relative", "absolute"])
def test_s36_a_dev_that_is_a_symlink_out_stays_inside(
    runner: Runner, victim: str, *, mounted: bool, climbing: bool
) -> None:
    os.symlink("../" * 20 + victim.lstrip("/") if climbing else victim, f"{runner.rootfs}/dev")
    spec = shell("echo ran")
    if not mounted:
        spec["mounts"] = [entry for entry in spec["mounts"] if not entry["destination"].startswith("/dev")]
    try:
        result = runner.run(spec)
    except (RuntimeFailure, SpecInvalid):
        return  # refused is as good as contained; the victim is checked by its fixture
    assert result.output == "ran\n"


@pytest.mark.parametrize("name", ["proc", "sys"])
def test_s37_proc_and_sys_must_be_ordinary_directories(runner: Runner, name: str) -> None:
    os.mkdir(f"{runner.rootfs}/elsewhere")
    os.symlink("/elsewhere", f"{runner.rootfs}/{name}")
    with pytest.raises((RuntimeFailure, SpecInvalid), match="must be mounted on ordinary directory"):
        runner.run(base_spec("true"))


def test_s38_a_target_through_a_symlink_stays_inside(runner: Runner, victim: str, volume: str) -> None:
    os.symlink(victim, f"{runner.rootfs}/link")
    spec = _mount(shell("cat /link/deep/file"), "/link/deep", volume, "bind")
    result = runner.run(spec)
    assert result.output == "content\n"


@pytest.mark.parametrize("destination", ["/proc/self/attr", "/proc/sys/kernel", "/proc"])
def test_s42_a_mount_in_proc_is_refused(runner: Runner, volume: str, destination: str) -> None:
    with pytest.raises((RuntimeFailure, SpecInvalid), match="cannot be mounted because it is"):
        runner.run(_mount(base_spec("true"), destination, volume, "bind"))


def test_s42_a_symlink_does_not_lead_a_mount_into_proc(runner: Runner, volume: str) -> None:
    os.symlink("/proc/sys", f"{runner.rootfs}/innocent")
    with pytest.raises((RuntimeFailure, SpecInvalid), match="inside /proc"):
        runner.run(_mount(base_spec("true"), "/innocent", volume, "bind"))


def test_s42_lxcfs_files_are_allowed(runner: Runner, volume: str) -> None:
    assert (
        runner.run(_mount(shell("cat /proc/meminfo"), "/proc/meminfo", f"{volume}/file", "bind")).output
        == "content\n"
    )


def test_the_root_can_be_read_only(runner: Runner) -> None:
    spec = shell("touch /x; touch /dev/shm/y && echo shm")
    spec["root"]["readonly"] = True
    result = runner.run(spec)
    assert "Read-only" in result.output
    assert "shm" in result.output


@pytest.mark.parametrize("option", ["private", "rprivate", "slave", "rslave", "shared", "rshared", "unbindable"])
def test_rootfs_propagation_is_set(runner: Runner, option: str) -> None:
    spec = shell("grep ' / / \\| / rw' /proc/self/mountinfo | head -1")
    spec["linux"]["rootfsPropagation"] = option
    line = runner.run(spec).output
    fields = line.split(" - ")[0].split()[6:]
    if "shared" in option:
        assert any(field.startswith("shared:") for field in fields)
    elif option == "unbindable":
        assert fields == ["unbindable"]
    else:
        assert not any(field.startswith("shared:") for field in fields)


def test_s55_the_old_root_is_gone(runner: Runner) -> None:
    result = runner.sh("cut -d' ' -f5 /proc/self/mountinfo")
    assert set(result.lines) <= {
        "/", "/proc", "/dev", "/dev/pts", "/sys", "/dev/mqueue", "/dev/shm", "/proc/bus", "/proc/fs", "/proc/irq",
        "/proc/sys", "/proc/sysrq-trigger", "/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/timer_list",
        "/sys/firmware",
    } | {line for line in result.lines if line.startswith("/sys/fs/cgroup")}  # fmt: skip


def test_intel_rdt_is_refused(runner: Runner) -> None:
    spec = base_spec("true")
    spec["linux"]["intelRdt"] = {"l3CacheSchema": "L3:0=f"}
    with pytest.raises(SpecInvalid, match="intelRdt is not supported"):
        runner.run(spec)


def test_no_pivot_moves_the_root(runner: Runner) -> None:
    assert runner.run(shell("ls /bin/sh"), pivot=False).output == "/bin/sh\n"

"""S36, S37, S39, S42, S45, S46, S55, S56, S63, S64: the root file system and what is mounted in it."""

import subprocess
from pathlib import Path

import pytest

from tests.attacks.conftest import ImageMaker, errnos
from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged

_EROFS_TEXT = "Read-only file system"


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A directory of the host that an image points at."""
    directory = tmp_path / "victim"
    directory.mkdir()
    (directory / "canary").write_text("untouched")
    return directory


def _assert_untouched(victim: Path) -> None:
    assert sorted(path.name for path in victim.iterdir()) == ["canary"]
    assert (victim / "canary").read_text() == "untouched"


@pytest.mark.parametrize("name", ["dev", "proc", "sys", "etc"])
def test_s36_s37_a_system_directory_that_is_a_link_is_contained(
    engine: EngineUnderTest, make_image: ImageMaker, victim: Path, name: str
) -> None:
    image = make_image(f"s36-{name}", {name: str(victim)})
    done = engine.wherry("run", "--rm", image, "ls", f"/{name}", check=False)
    _assert_untouched(victim)
    assert "canary" not in done.stdout


def test_s36_the_dev_link_may_point_into_the_image_and_is_contained(
    engine: EngineUnderTest, make_image: ImageMaker, victim: Path
) -> None:
    image = make_image("s36-relative", {"dev": f"../../../../../..{victim}"})
    engine.wherry("run", "--rm", image, "true", check=False)
    _assert_untouched(victim)


def test_s39_a_fake_null_device_does_not_unmask(engine: EngineUnderTest, tools: str, tmp_path: Path) -> None:
    """A volume at /dev whose null is a link to a file of the host's /proc: the masks still read empty."""
    (tmp_path / "null").symlink_to("/proc/sys/kernel/core_pattern")
    before = Path("/proc/sys/kernel/core_pattern").read_bytes()
    done = engine.wherry(
        "run", "--rm", "-v", f"{tmp_path}:/dev", tools, "sh", "-c",
        "cat /proc/kcore | wc -c; cat /proc/keys | wc -c; echo x > /proc/kcore", check=False,
    )  # fmt: skip
    numbers = [line for line in done.stdout.split() if line.isdigit()]
    assert all(number == "0" for number in numbers)
    assert Path("/proc/sys/kernel/core_pattern").read_bytes() == before


@pytest.mark.parametrize("target", ["/proc", "/proc/self/attr", "/proc/../proc/sys", "/proc/sys/kernel"])
def test_s42_a_mount_inside_proc_is_refused(engine: EngineUnderTest, tools: str, tmp_path: Path, target: str) -> None:
    done = engine.wherry("run", "--rm", "-v", f"{tmp_path}:{target}", tools, "true", check=False)
    assert done.returncode in (125, 126, 127)
    assert "proc" in done.stderr


@pytest.mark.parametrize("volume", ["/proc", "/sys", "/", "/../../etc"])
def test_s17_s42_an_image_volume_over_a_system_path_is_refused_or_contained(
    engine: EngineUnderTest, make_image: ImageMaker, volume: str
) -> None:
    image = make_image("s42-volume", {}, (f"VOLUME {volume}",))
    done = engine.wherry("run", "--rm", image, "sh", "-c", "cat /etc/shadow; ls /", check=False)
    assert "root:$" not in done.stdout
    if volume != "/../../etc":
        assert done.returncode in (125, 126, 127), done.stdout


def test_s45_no_cgroup_can_be_mounted(engine: EngineUnderTest, tools: str) -> None:
    """Directly, or as root of a user namespace of one's own; and no release_agent is in what is mounted."""
    controller = next(
        (line.split()[0] for line in Path("/proc/cgroups").read_text().splitlines()[1:] if line.split()[1] != "0"), ""
    )
    assert errnos(engine, tools, f"cgroup-in-userns={controller}") == {"cgroup-in-userns": 1}
    script = f"mkdir -p /tmp/c; mount -t cgroup -o {controller} c /tmp/c"
    assert engine.wherry("run", "--rm", tools, "sh", "-c", script, check=False).returncode != 0
    found = engine.wherry("run", "--rm", tools, "find", "-L", "/sys/fs/cgroup", "-name", "release_agent", check=False)
    assert found.stdout == ""


def test_s46_cgroups_are_read_only_and_of_its_own_namespace(engine: EngineUnderTest, tools: str) -> None:
    done = engine.wherry(
        "run", "--rm", tools, "sh", "-c",
        "for d in /sys/fs/cgroup /sys/fs/cgroup/*; do mkdir $d/x && echo made $d; done; cat /proc/self/cgroup", check=False,
    )  # fmt: skip
    assert "made" not in done.stdout
    assert _EROFS_TEXT in done.stderr
    paths = {line.split(":", 2)[2] for line in done.stdout.splitlines() if ":" in line}
    assert paths == {"/"}


def test_s55_the_old_root_is_gone(engine: EngineUnderTest, tools: str) -> None:
    mounts = engine.wherry("run", "--rm", tools, "cat", "/proc/self/mountinfo").stdout.splitlines()
    assert [line.split()[4] for line in mounts].count("/") == 1
    host_root = next(
        line.split()[2] for line in Path("/proc/self/mountinfo").read_text().splitlines() if line.split()[4] == "/"
    )
    # Only the three files that the engine gives come from the host's disk.
    from_host = {line.split()[4] for line in mounts if line.split()[2] == host_root}
    assert from_host <= {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"}
    assert errnos(engine, tools, "open_by_handle_at") == {"open_by_handle_at": 1}


def test_s56_mounts_do_not_propagate_to_the_host(engine: EngineUnderTest, tools: str, tmp_path: Path) -> None:
    engine.wherry("run", "--rm", "--privileged", "-v", f"{tmp_path}:/v", tools, "sh", "-c",
                  "mkdir -p /v/m && mount -t tmpfs t /v/m && touch /v/m/x; mkdir -p /mnt; mount -t tmpfs s56-canary /mnt")  # fmt: skip
    mounts = Path("/proc/self/mountinfo").read_text()
    assert str(tmp_path) not in mounts
    assert "s56-canary" not in mounts
    assert list((tmp_path / "m").iterdir()) == []


_MASKED = ("kcore", "keys", "latency_stats", "timer_list", "sched_debug", "timer_stats", "interrupts")
_MASKED_DIRECTORIES = ("/proc/acpi", "/proc/scsi", "/proc/asound", "/sys/firmware", "/sys/devices/virtual/powercap")


def test_s63_masked_paths_are_empty_and_stay_masked(engine: EngineUnderTest, tools: str) -> None:
    existing = [f"/proc/{name}" for name in _MASKED if Path(f"/proc/{name}").exists()]
    done = engine.wherry("run", "--rm", tools, "sh", "-c", f"for f in {' '.join(existing)}; do wc -c < $f; done")
    assert done.stdout.split() == ["0"] * len(existing)
    directories = [name for name in _MASKED_DIRECTORIES if Path(name).exists()]
    listed = engine.wherry(
        "run", "--rm", tools, "sh", "-c", f"ls -A {' '.join(directories)} | grep -v : | grep . || true"
    )
    assert listed.stdout == ""
    assert errnos(engine, tools, "umount=/proc/kcore", "umount=/sys/firmware") == {"umount": 1}


def test_s64_kernel_settings_are_read_only(engine: EngineUnderTest, tools: str) -> None:
    writes = ("/proc/sys/kernel/hostname", "/proc/sys/vm/overcommit_memory", "/proc/sysrq-trigger", "/proc/irq/default_smp_affinity",
              "/proc/bus/x", "/proc/fs/x", "/sys/kernel/mm/transparent_hugepage/enabled", "/sys/x")  # fmt: skip
    for path in writes:
        done = engine.wherry("run", "--rm", tools, "sh", "-c", f"echo 0 > {path}", check=False)
        assert done.returncode != 0, path


def test_s32_other_users_of_the_host_see_no_layer(engine: EngineUnderTest) -> None:
    done = subprocess.run(
        ["find", str(engine.data_root), "-maxdepth", "3"], capture_output=True, text=True, check=False, timeout=20,
        user=65534, group=65534,
    )  # fmt: skip
    assert "snapshots/" not in done.stdout
    assert engine.data_root.stat().st_mode & 0o066 == 0

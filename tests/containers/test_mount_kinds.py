"""Mounts that Debian's dockerd does not know yet (subpath, images, recursion), and what the local driver mounts."""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import docker
import pytest

from tests.engine_under_test import EngineUnderTest
from wherry.linux import mountinfo

pytestmark = pytest.mark.privileged


@pytest.fixture(scope="module")
def layered(engine: EngineUnderTest) -> str:
    """An image of three layers: /data/old is there and then deleted, /data/new is added, /gone goes as a whole."""
    steps = ["mkdir -p /data /gone; echo 1 > /data/old; echo 1 > /data/kept; echo 1 > /gone/x", "rm -r /data/old /gone",
             "echo 3 > /data/new; ln -s /etc /data/link"]  # fmt: skip
    name = "busybox"
    for number, step in enumerate(steps):
        engine.wherry("run", "--name", "step", name, "sh", "-c", step)
        name = f"layered{number}"
        engine.wherry("commit", "step", name)
        engine.wherry("rm", "step")
    return name


def create(engine: EngineUnderTest, body: Mapping[str, object]) -> str:
    client = docker.APIClient(base_url=f"unix://{engine.socket}")
    try:
        made: str = client._post_json(client._url("/containers/create"), data=body).json()["Id"]
    finally:
        client.close()
    return made


def run(engine: EngineUnderTest, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    return engine.wherry("run", "--rm", *arguments, check=check)


def test_an_image_is_mounted_read_only(engine: EngineUnderTest, layered: str) -> None:
    shown = run(engine, "--mount", f"type=image,src={layered},dst=/i", "busybox", "sh", "-c",
                "ls /i/data; ls -d /i/gone; touch /i/x", check=False)  # fmt: skip
    assert shown.stdout.split() == ["kept", "link", "new"]
    assert "Read-only file system" in shown.stderr


def test_a_part_of_an_image_is_mounted(engine: EngineUnderTest, layered: str) -> None:
    mount = f"type=image,src={layered},dst=/i,image-subpath="
    assert run(engine, "--mount", mount + "data", "busybox", "ls", "/i").stdout.split() == ["kept", "link", "new"]
    assert run(engine, "--mount", mount + "data/kept", "busybox", "cat", "/i").stdout == "1\n"
    for path, reason in (("gone", "no such file"), ("data/old", "no such file"), ("data/link", "symbolic link")):
        refused = run(engine, "--mount", mount + path, "busybox", "true", check=False)
        assert (refused.returncode != 0, reason in refused.stderr) == (True, True), refused.stderr
    assert "relative path" in run(engine, "--mount", mount + "../x", "busybox", "true", check=False).stderr


def test_a_part_of_a_volume_is_mounted(engine: EngineUnderTest) -> None:
    run(engine, "-v", "parts:/v", "busybox", "sh", "-c", "mkdir -p /v/a/b; echo x > /v/a/b/f; ln -s b /v/a/l")
    for path in ("a/b", "a/l"):
        mount = f"type=volume,src=parts,dst=/p,volume-subpath={path}"
        assert run(engine, "--mount", mount, "busybox", "sh", "-c", "ls /p; echo y > /p/f").stdout == "f\n"
    shown = run(engine, "--mount", "type=volume,src=parts,dst=/p,volume-subpath=a/b/f", "busybox", "cat", "/p")
    assert shown.stdout == "y\n"
    missing = run(
        engine, "--mount", "type=volume,src=parts,dst=/p,volume-subpath=nothere", "busybox", "true", check=False
    )
    assert missing.returncode != 0 and "no such file or directory" in missing.stderr
    engine.wherry("volume", "rm", "parts")


@pytest.mark.parametrize("target", ["/etc", "../../../../../../../../etc", "/proc/self/root/etc"])
def test_s38_a_link_in_a_volume_does_not_lead_its_subpath_out(engine: EngineUnderTest, target: str) -> None:
    run(engine, "-v", "trap:/v", "busybox", "ln", "-s", target, "/v/way")
    mount = "type=volume,src=trap,dst=/p,volume-subpath=way"
    tried = run(engine, "--mount", mount, "busybox", "cat", "/p/hostname", check=False)
    assert tried.returncode != 0 and tried.stdout == ""
    engine.wherry("volume", "rm", "trap")


def test_recursion_of_a_bind(engine: EngineUnderTest, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(inner)], check=True)
    try:
        (inner / "f").touch()
        mount = f"type=bind,src={tmp_path},dst=/b"
        look = ("busybox", "sh", "-c", "ls /b/inner; touch /b/inner/new 2>/dev/null && echo written")
        assert run(engine, "--mount", mount + ",bind-recursive=disabled", *look, check=False).stdout == "written\n"
        assert (tmp_path / "inner").is_mount()
        assert run(engine, "--mount", mount + ",readonly", *look, check=False).stdout == "f\n"
        assert run(engine, "--mount", mount + ",readonly,bind-recursive=readonly,bind-propagation=rprivate", *look,
                   check=False).stdout == "f\n"  # fmt: skip
        assert run(engine, "--mount", mount + ",readonly,bind-recursive=writable", *look).stdout == "f\nwritten\n"
    finally:
        subprocess.run(["umount", str(inner)], check=True)


def test_a_source_is_made_when_it_is_asked_for(engine: EngineUnderTest, tmp_path: Path) -> None:
    source = tmp_path / "made" / "here"
    body = {
        "Image": "busybox",
        "Cmd": ["true"],
        "HostConfig": {"Mounts": [{"Type": "bind", "Source": str(source), "Target": "/x",
                                   "BindOptions": {"CreateMountpoint": True}}]},
    }  # fmt: skip
    created = create(engine, body)
    engine.wherry("start", created)
    assert source.is_dir()
    engine.wherry("rm", "-f", created)


def test_a_mount_of_the_driver_goes_with_its_last_container(engine: EngineUnderTest) -> None:
    engine.wherry("volume", "create", "-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m", "ram")
    place = f"{engine.data_root}/volumes/ram/_data"

    def mounted() -> bool:
        return any(entry.mount_point == place for entry in mountinfo.read())

    for name in ("one", "two"):
        engine.wherry("run", "-d", "--name", name, "-v", "ram:/x", "busybox", "sleep", "60")
    engine.wherry("rm", "-f", "one")
    assert mounted()
    engine.kill_engine()
    assert engine.wherry("exec", "two", "sh", "-c", "grep -c ' /x tmpfs' /proc/mounts").stdout == "1\n"
    assert mounted()
    engine.wherry("kill", "two")
    deadline = time.monotonic() + 10
    while mounted():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    engine.wherry("rm", "two")
    engine.wherry("volume", "rm", "ram")
    assert "Traceback" not in engine.log()


def test_what_an_image_has_is_copied_into_a_bind_volume_that_is_empty(
    engine: EngineUnderTest, tmp_path: Path
) -> None:
    device = tmp_path / "device"
    device.mkdir()
    engine.wherry("volume", "create", "-o", "type=none", "-o", f"device={device}", "-o", "o=bind", "there")
    run(engine, "-v", "there:/etc", "busybox", "true")
    assert (device / "passwd").read_text().startswith("root:")
    engine.wherry("volume", "rm", "there")
    assert (device / "passwd").exists()


def test_r01_a_copy_into_a_volume_that_a_kill_cut_is_made_again(engine: EngineUnderTest) -> None:
    engine.wherry("volume", "create", "cut")
    script = (
        "import os, sys; from wherry.volumes.local import LocalDriver\n"
        "def write(fd):\n"
        "    os.close(os.open('half', os.O_CREAT | os.O_WRONLY, dir_fd=fd)); os.kill(os.getpid(), 9)\n"
        "LocalDriver(sys.argv[1]).fill('cut', write, durable=True)\n"
    )
    killed = subprocess.run([sys.executable, "-c", script, str(engine.data_root)], check=False)
    assert killed.returncode == -9
    assert (engine.data_root / "volumes" / "cut" / "filling" / "half").exists()
    shown = run(engine, "-v", "cut:/etc", "busybox", "ls", "/etc").stdout.split()
    assert "passwd" in shown and "half" not in shown
    assert not (engine.data_root / "volumes" / "cut" / "filling").exists()
    engine.wherry("volume", "rm", "cut")

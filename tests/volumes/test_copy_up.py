"""Image content into a new volume."""

import os
from pathlib import Path

import pytest

from wherry.volumes.copy_up import copy_up, is_empty

pytestmark = pytest.mark.privileged


def copy(root: Path, path: str, volume: Path) -> bool:
    volume.mkdir(exist_ok=True)
    root_fd, volume_fd = os.open(root, os.O_RDONLY), os.open(volume, os.O_RDONLY)
    try:
        assert is_empty(volume_fd)
        return copy_up(root_fd, path, volume_fd)
    finally:
        os.close(root_fd)
        os.close(volume_fd)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    data = tmp_path / "root/data"
    (data / "sub").mkdir(parents=True)
    (data / "file").write_bytes(b"content" * 100_000)
    os.chown(data / "file", 5, 6)
    os.chmod(data / "file", 0o4751)
    (data / "sub/link").symlink_to("/etc/shadow")
    os.link(data / "file", data / "sub/hard")
    os.mkfifo(data / "fifo")
    os.chown(data, 7, 8)
    os.chmod(data, 0o1770)
    os.utime(data / "file", ns=(1, 2_000_000_003))
    return tmp_path / "root"


def test_everything_arrives_as_it_was(root: Path, tmp_path: Path) -> None:
    volume = tmp_path / "volume"
    assert copy(root, "/data", volume)
    found = os.stat(volume / "file")
    assert (volume / "file").read_bytes() == b"content" * 100_000
    assert (found.st_uid, found.st_gid, found.st_mode & 0o7777, found.st_mtime_ns) == (5, 6, 0o4751, 2_000_000_003)
    assert os.path.samefile(volume / "file", volume / "sub/hard")
    assert os.readlink(volume / "sub/link") == "/etc/shadow"
    top = os.stat(volume)
    assert (top.st_uid, top.st_gid, top.st_mode & 0o7777) == (7, 8, 0o1770)


def test_what_is_not_there_or_no_directory_leaves_the_volume_empty(root: Path, tmp_path: Path) -> None:
    assert not copy(root, "/nowhere", tmp_path / "v1")
    assert not copy(root, "/data/file", tmp_path / "v2")
    assert os.listdir(tmp_path / "v2") == []


def test_s17_a_symlinked_volume_path_is_resolved_inside_the_root(root: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("host", encoding="utf-8")
    (root / "evil").symlink_to(str(secret))
    (root / "up").symlink_to("../../../../../../" + str(secret))
    assert not copy(root, "/evil", tmp_path / "v1")
    assert not copy(root, "/up", tmp_path / "v2")
    (root / "inside").symlink_to("/data")
    assert copy(root, "/inside", tmp_path / "v3")
    assert (tmp_path / "v3/file").exists()

"""``docker diff``, commit and export of a container's layer."""

import hashlib
import io
import os
import shutil
import socket
import subprocess
from pathlib import Path

import pytest

from tests.snapshots.conftest import Unpack
from tests.snapshots.raw_tar import directory, file, symlink
from wherry.snapshots.chain_id import ChainId
from wherry.snapshots.diff import status_beneath
from wherry.snapshots.overlay import OverlaySnapshotter
from wherry.snapshots.snapshotter import ChangeKind

pytestmark = pytest.mark.privileged


@pytest.fixture
def base(unpack: Unpack) -> ChainId:
    return unpack(
        directory(b"etc/"),
        file(b"etc/passwd", b"root"),
        file(b"etc/group", b"root"),
        directory(b"var/"),
        directory(b"var/lib/"),
        file(b"var/lib/a", b"1"),
        file(b"var/lib/b", b"1"),
        directory(b"opt/"),
        directory(b"opt/x/"),
        file(b"opt/x/old", b"1"),
        file(b"opt/x/again", b"1"),
    )


def diff(snapshotter: OverlaySnapshotter, key: str) -> list[str]:
    return [f"{'CAD'[change.kind]} {os.fsdecode(change.path)}" for change in snapshotter.changes(key)]


def commit(snapshotter: OverlaySnapshotter, key: str, parent: ChainId | None) -> ChainId:
    out = io.BytesIO()
    snapshotter.write_diff(key, out)
    out.seek(0)
    return snapshotter.unpack(parent, f"sha256:{hashlib.sha256(out.getvalue()).hexdigest()}", out)


def write(fd: int, path: str, data: bytes) -> None:
    handle = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o644, dir_fd=fd)
    os.write(handle, data)
    os.close(handle)


def test_an_untouched_container_has_no_changes(base: ChainId, snapshotter: OverlaySnapshotter) -> None:
    snapshotter.prepare("one", base)
    with snapshotter.mounted("one") as fd:
        os.listdir(fd)
    assert diff(snapshotter, "one") == []


def test_changes_are_dockers(base: ChainId, snapshotter: OverlaySnapshotter) -> None:
    snapshotter.prepare("one", base)
    with snapshotter.mounted("one") as fd:
        write(fd, "etc/passwd", b"changed")
        os.unlink("var/lib/a", dir_fd=fd)
        os.mkdir("new", dir_fd=fd)
        write(fd, "new/file", b"x")
        shutil.rmtree("opt/x", dir_fd=fd)
        os.mkdir("opt/x", 0o755, dir_fd=fd)
        write(fd, "opt/x/again", b"2")
        write(fd, "temporary", b"")
        os.unlink("temporary", dir_fd=fd)
        os.close(os.open("etc/group", os.O_RDWR, dir_fd=fd))  # copied up, not changed
    assert diff(snapshotter, "one") == [
        "C /etc", "C /etc/passwd", "A /new", "A /new/file", "C /opt", "C /opt/x", "D /opt/x/old", "C /opt/x/again",
        "C /var", "C /var/lib", "D /var/lib/a",
    ]  # fmt: skip


def test_a_container_from_scratch_has_only_additions(snapshotter: OverlaySnapshotter) -> None:
    snapshotter.prepare("one", None)
    with snapshotter.mounted("one") as fd:
        write(fd, "f", b"x")
    assert diff(snapshotter, "one") == ["A /f"]
    assert [int(kind) for kind in (ChangeKind.MODIFIED, ChangeKind.ADDED, ChangeKind.DELETED)] == [0, 1, 2]


def test_a_committed_diff_makes_the_same_tree_again(base: ChainId, snapshotter: OverlaySnapshotter) -> None:
    snapshotter.prepare("one", base)
    with snapshotter.mounted("one") as fd:
        os.unlink("etc/group", dir_fd=fd)
        shutil.rmtree("opt", dir_fd=fd)
        os.mkdir("opt", 0o700, dir_fd=fd)
        write(fd, "opt/only", b"x")
        os.rename("var/lib/a", "var/lib/c", src_dir_fd=fd, dst_dir_fd=fd)
        os.fchmod(fd, 0o711)
    tree = io.BytesIO()
    snapshotter.write_tree("one", tree)
    chain = commit(snapshotter, "one", base)
    snapshotter.prepare("two", chain)
    again = io.BytesIO()
    snapshotter.write_tree("two", again)
    assert again.getvalue() == tree.getvalue()
    with snapshotter.mounted("two") as fd:
        assert os.fstat(fd).st_mode & 0o777 == 0o711
    assert diff(snapshotter, "two") == []


def test_a_diff_is_the_same_every_time_and_gnu_tar_reads_it(base: ChainId, snapshotter: OverlaySnapshotter) -> None:
    snapshotter.prepare("one", base)
    with snapshotter.mounted("one") as fd:
        for number in range(20):
            write(fd, f"f{number}", b"x")
        os.unlink("etc/group", dir_fd=fd)
    first, second = io.BytesIO(), io.BytesIO()
    snapshotter.write_diff("one", first)
    snapshotter.write_diff("one", second)
    assert first.getvalue() == second.getvalue()
    listing = subprocess.run(["tar", "-tf", "-"], input=first.getvalue(), capture_output=True, check=True).stdout
    names = listing.decode().splitlines()
    assert "etc/.wh.group" in names and names == sorted(names)


def test_a_name_that_looks_like_a_whiteout_is_left_out_of_a_layer(
    base: ChainId, snapshotter: OverlaySnapshotter
) -> None:
    snapshotter.prepare("one", base)
    with snapshotter.mounted("one") as fd:
        write(fd, "etc/.wh.passwd", b"trick")
    with snapshotter.mounted(commit(snapshotter, "one", base)) as fd:
        assert "passwd" in os.listdir(os.open("etc", os.O_RDONLY, dir_fd=fd))


def test_everything_survives_packing_and_unpacking(snapshotter: OverlaySnapshotter, tmp_path: Path) -> None:
    snapshotter.prepare("one", None)
    long = "long-" + "n" * 240
    deep = "/".join(["deep-" + "d" * 60] * 8)
    with snapshotter.mounted("one") as fd:
        before = os.getcwd()
        os.chdir(fd)
        try:
            write(fd, "data", os.urandom(3 << 20))
            write(fd, long, b"long")
            write(fd, b"\xff\xfe\n name".decode(errors="surrogateescape"), b"bytes")
            os.makedirs(deep, exist_ok=True)
            os.symlink("t" * 3000, "long-link")
            os.symlink("data", f"{deep}/" + "l" * 200)
            os.link("data", f"{deep}/hard")
            os.link("long-link", "hard-link-to-link")
            os.mkfifo("fifo", 0o600)
            os.mknod("block", 0o060600, os.makedev(253, 70000))
            os.mknod("null", 0o020666, os.makedev(1, 3))
            with socket.socket(socket.AF_UNIX) as listener:
                listener.bind("socket")
            write(fd, "sparse", b"start")
            handle = os.open("sparse", os.O_WRONLY)
            os.pwrite(handle, b"middle", 20 << 20)
            os.truncate(handle, 50 << 20)
            os.close(handle)
            write(fd, "suid", b"#!")
            os.chown("suid", 3_000_000_000, 70_000)
            os.chmod("suid", 0o6755)
            write(fd, "xattr", b"x")
            os.setxattr("xattr", "user.text", b"value\n=\0")
            os.setxattr("xattr", "security.capability", b"\x01\0\0\x02\0\x04" + bytes(14))
            os.mkdir("sticky", 0o755)
            os.chmod("sticky", 0o3777)
            os.setxattr("sticky", "user.d", b"d")
            os.utime("data", (5, -5))
            os.utime("suid", (5, 1 << 34))
            os.utime("sticky", (1, 1))
        finally:
            os.chdir(before)
    tree = io.BytesIO()
    snapshotter.write_tree("one", tree)
    assert len(tree.getvalue()) < 8 << 20  # the holes are not in it
    chain = commit(snapshotter, "one", None)
    snapshotter.prepare("two", chain)
    again = io.BytesIO()
    snapshotter.write_tree("two", again)
    assert hashlib.sha256(again.getvalue()).digest() == hashlib.sha256(tree.getvalue()).digest()
    with snapshotter.mounted(chain) as fd:
        sparse = os.stat("sparse", dir_fd=fd)
        assert sparse.st_size == 50 << 20 and sparse.st_blocks * 512 < 1 << 20
        assert os.stat("data", dir_fd=fd).st_nlink == 2 and os.stat("data", dir_fd=fd).st_mtime == -5
        assert os.stat("suid", dir_fd=fd).st_uid == 3_000_000_000
        assert "socket" not in os.listdir(fd)
    # The peer reads the same tree out of it.
    (tmp_path / "gnu").mkdir()
    subprocess.run(
        ["tar", "-C", str(tmp_path / "gnu"), "--xattrs", "--xattrs-include=*", "-xpf", "-"],
        input=tree.getvalue(), check=True, capture_output=True,
    )  # fmt: skip
    gnu = tmp_path / "gnu"
    assert os.stat(gnu / "suid").st_mode & 0o7777 == 0o6755 and os.stat(gnu / "suid").st_uid == 3_000_000_000
    assert os.getxattr(gnu / "xattr", "user.text") == b"value\n=\0"
    assert os.stat(gnu / "sparse").st_size == 50 << 20 and os.stat(gnu / "block").st_rdev == os.makedev(253, 70000)
    assert (gnu / long).read_bytes() == b"long" and os.readlink(gnu / "long-link") == "t" * 3000


def test_status_beneath_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "dir").mkdir()
    (tmp_path / "link").symlink_to("dir")
    (tmp_path / "dir" / "f").touch()
    fd = os.open(tmp_path, os.O_RDONLY)
    try:
        assert status_beneath(fd, b"dir/f") is not None
        assert status_beneath(fd, b"link") is not None
        assert status_beneath(fd, b"link/f") is None
        assert status_beneath(fd, b"dir/f/g") is None
    finally:
        os.close(fd)


def test_layers_with_links_keep_them(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    chain = unpack(directory(b"usr/lib/"), symlink(b"lib", b"usr/lib"), file(b"lib/x", b"1"))
    with snapshotter.mounted(chain) as fd:
        assert os.listdir(os.open("usr/lib", os.O_RDONLY, dir_fd=fd)) == ["x"]

"""R01, R04, R06: unpacking is whole or absent, whatever kills it; removal of any tree comes to its end."""

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.snapshots.raw_tar import archive, file
from wherry.linux import mount
from wherry.snapshots.overlay import OverlaySnapshotter
from wherry.snapshots.remove_tree import remove_tree
from wherry.snapshots.snapshotter import SnapshotFailed

pytestmark = pytest.mark.privileged

_UNPACK = """
import sys
from wherry.snapshots.overlay import OverlaySnapshotter
snapshotter = OverlaySnapshotter(sys.argv[1])
print("ready", flush=True)
with open(sys.argv[3], "rb") as tar:
    snapshotter.unpack(None, sys.argv[2], tar)
print("done", flush=True)
"""

_DATA = archive(*(file(b"d%d/f%d" % (number % 50, number), b"x" * 3000) for number in range(1000)))
_DIFF_ID = f"sha256:{hashlib.sha256(_DATA).hexdigest()}"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 24 MiB with trusted attributes, as an image's target."""
    target = tmp_path / "small"
    target.mkdir()
    mount.mount("tmpfs", str(target), "tmpfs", 0, "size=24m,mode=0700")
    yield target
    mount.umount(str(target))


@pytest.fixture
def layer_file(tmp_path: Path) -> Path:
    path = tmp_path / "layer.tar"
    path.write_bytes(_DATA)
    return path


@pytest.mark.parametrize("delay_ms", [0, 10, 30, 60, 120])
def test_r01_kill_9_while_unpacking_leaves_nothing_after_recovery(
    delay_ms: int, data_root: Path, layer_file: Path
) -> None:
    command = [sys.executable, "-c", _UNPACK, str(data_root), _DIFF_ID, str(layer_file)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None and process.stdout.readline() == b"ready\n"
        try:
            process.wait(timeout=delay_ms / 1000)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        acknowledged = process.stdout.read() == b"done\n"
    recovered = OverlaySnapshotter(str(data_root))
    try:
        recovered._trash.wait()
        whole = recovered.has(recovered.all()[0].key) if recovered.all() else False  # type: ignore[arg-type]
        assert whole or not acknowledged
        for part in ("ingest", "trash"):
            assert os.listdir(data_root / "snapshots" / part) == []
        assert len(os.listdir(data_root / "snapshots" / "layers")) == int(whole)
        with layer_file.open("rb") as tar:
            chain = recovered.unpack(None, _DIFF_ID, tar)  # the retry works
        assert recovered.usage(chain).inodes == 1050
    finally:
        recovered.close()


@pytest.mark.parametrize(
    ("syscall", "nth"),
    [("fsync", 1), ("rename", 1), ("fsync", 2), ("syncfs", 1), ("rename", 2), ("fsync", 3), ("symlink", 1)],
)
def test_r01_kill_before_every_step_of_the_commit(syscall: str, nth: int, data_root: Path, layer_file: Path) -> None:
    # Not with --seccomp-bpf, which is faster: strace 6.1 then injects no signal.
    done = subprocess.run(
        ["strace", "-f", "-qq", "-o", "/dev/null", f"--inject={syscall}:signal=SIGKILL:when={nth}",
         f"--trace={syscall}", sys.executable, "-c", _UNPACK, str(data_root), _DIFF_ID, str(layer_file)],
        check=False, capture_output=True, timeout=60,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, "the process was to be killed"
    recovered = OverlaySnapshotter(str(data_root))
    try:
        with layer_file.open("rb") as tar:
            chain = recovered.unpack(None, _DIFF_ID, tar)
        assert recovered.usage(chain).inodes == 1050
        recovered.prepare("one", chain)
        with recovered.mounted("one") as fd:
            assert os.stat("d1/f1", dir_fd=fd).st_size == 3000
        recovered._trash.wait()
        assert len(os.listdir(data_root / "snapshots/l")) == len(os.listdir(data_root / "snapshots/layers")) == 1
        assert os.listdir(data_root / "snapshots/ingest") == os.listdir(data_root / "snapshots/trash") == []
    finally:
        recovered.close()


def test_r06_a_full_disk_is_a_clean_error_and_gives_the_space_back(small_disk: Path, layer_file: Path) -> None:
    snapshotter = OverlaySnapshotter(str(small_disk))
    try:
        free = os.statvfs(small_disk).f_bfree
        big = archive(*(file(b"f%d" % number, b"x" * 1_000_000) for number in range(40)))
        layer_file.write_bytes(big)
        with layer_file.open("rb") as tar, pytest.raises(SnapshotFailed, match="No space left on device"):
            snapshotter.unpack(None, f"sha256:{hashlib.sha256(big).hexdigest()}", tar)
        assert os.statvfs(small_disk).f_bfree == free and snapshotter.all() == []
        layer_file.write_bytes(_DATA[: 3 << 20])  # the store still works
        small = archive(file(b"f", b"x" * 1_000_000))
        layer_file.write_bytes(small)
        with layer_file.open("rb") as tar:
            assert snapshotter.unpack(None, f"sha256:{hashlib.sha256(small).hexdigest()}", tar)
    finally:
        snapshotter.close()


@pytest.mark.parametrize(("syscall", "nth"), [("fsync", 1), ("fsync", 2), ("fsync", 3), ("syncfs", 1)])
def test_r07_a_flush_that_fails_is_not_a_success(
    syscall: str, nth: int, data_root: Path, layer_file: Path
) -> None:  # fmt: skip
    done = subprocess.run(
        ["strace", "-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", f"--inject={syscall}:error=EIO:when={nth}", f"--trace={syscall}",
         sys.executable, "-c", _UNPACK, str(data_root), _DIFF_ID, str(layer_file)],
        check=False, capture_output=True, timeout=60,
    )  # fmt: skip
    assert b"SnapshotFailed" in done.stderr
    assert b"Input/output error" in done.stderr
    recovered = OverlaySnapshotter(str(data_root))
    try:
        assert recovered.all() == [] and os.listdir(data_root / "snapshots/ingest") == []
    finally:
        recovered.close()


def test_removing_a_tree_does_not_enter_a_mount(tmp_path: Path) -> None:
    (tmp_path / "tree" / "volume").mkdir(parents=True)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "file").touch()
    mount.mount(str(tmp_path / "precious"), str(tmp_path / "tree" / "volume"), "", mount.MS_BIND)
    parent = os.open(tmp_path, os.O_RDONLY)
    try:
        with pytest.raises(OSError, match="cross-device link"):
            remove_tree(parent, b"tree")
    finally:
        os.close(parent)
        mount.umount(str(tmp_path / "tree" / "volume"))
    assert (tmp_path / "precious" / "file").exists()


def test_a_tree_deeper_than_any_path_is_removed(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    fd = os.open(tmp_path / "tree", os.O_RDONLY)
    for number in range(6000):
        os.mkdir("d", dir_fd=fd)
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        if number % 500 == 0:
            os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
            os.symlink("/", "link", dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    parent = os.open(tmp_path, os.O_RDONLY)
    try:
        remove_tree(parent, b"tree")
        remove_tree(parent, b"tree")
    finally:
        os.close(parent)
    assert not (tmp_path / "tree").exists()

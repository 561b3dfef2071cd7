"""The snapshotter's contract, on real overlay mounts."""

import hashlib
import io
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.snapshots.conftest import Unpack
from tests.snapshots.raw_tar import CHAR, archive, directory, file, hardlink, header, pax, stream, symlink
from wherry.snapshots.chain_id import InvalidDigest, chain_ids
from wherry.snapshots.overlay import OverlaySnapshotter
from wherry.snapshots.snapshotter import SnapshotFailed, SnapshotInUse, SnapshotNotFound
from wherry.snapshots.tar_reader import TarReader
from wherry.snapshots.unpack import unpack as unpack_into

pytestmark = pytest.mark.privileged


def read(root_fd: int, path: str) -> str:
    with open(os.open(path, os.O_RDONLY, dir_fd=root_fd)) as handle:
        return handle.read()


def test_chain_ids_are_the_specifications() -> None:
    first, second = "sha256:" + "a" * 64, "sha256:" + "b" * 64
    expected = "sha256:" + hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    assert chain_ids([first, second]) == [first, expected]


@pytest.mark.parametrize("digest", ["sha256:../../x", "sha256:" + "A" * 64, "sha256:" + "a" * 63, "md5:" + "a" * 64])
def test_s03_a_digest_that_is_none_is_refused(digest: str, snapshotter: OverlaySnapshotter) -> None:
    with pytest.raises(InvalidDigest):
        snapshotter.unpack(None, digest, io.BytesIO())


def test_layers_are_merged_with_whiteouts_and_opaque_directories(
    unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    base = unpack(
        directory(b"d/", mode=0o1777, uid=5),
        file(b"d/gone", b"1"),
        file(b"d/kept", b"1"),
        directory(b"o/"),
        file(b"o/hidden", b"1"),
        directory(b"r/"),
        file(b"r/hidden", b"1"),
        file(b"tree/a/b", b"1"),
    )
    top = unpack(
        file(b"d/.wh.gone"),
        file(b"d/new", b"2"),
        file(b"o/.wh..wh..opq"),
        file(b"o/shown", b"2"),
        file(b".wh.r"),
        directory(b"r/"),
        file(b"r/shown", b"2"),
        file(b".wh.tree"),
        file(b".wh..wh.plnk/1.2", b"aufs"),
        parent=base,
    )
    with snapshotter.mounted(top) as fd:
        assert sorted(os.listdir(fd)) == ["d", "o", "r"]
        assert sorted(os.listdir(os.open("d", os.O_RDONLY, dir_fd=fd))) == ["kept", "new"]
        assert os.stat("d", dir_fd=fd).st_mode & 0o7777 == 0o1777 and os.stat("d", dir_fd=fd).st_uid == 5
        assert os.listdir(os.open("o", os.O_RDONLY, dir_fd=fd)) == ["shown"]
        assert os.listdir(os.open("r", os.O_RDONLY, dir_fd=fd)) == ["shown"]
        with pytest.raises(OSError, match="Read-only"):
            os.mkdir("x", dir_fd=fd)


def test_a_whiteout_spares_what_its_own_layer_brings(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    base = unpack(file(b"f", b"old"), file(b"d/old", b"old"))
    for members in ([file(b"f", b"new"), file(b".wh.f"), file(b"d/new", b"new"), file(b".wh.d")],):
        top = unpack(*members, parent=base)
        with snapshotter.mounted(top) as fd:
            assert read(fd, "f") == "new"
            assert os.listdir(os.open("d", os.O_RDONLY, dir_fd=fd)) == ["new"]


def test_an_archive_that_is_no_layer_may_have_names_like_whiteouts(tmp_path: Path) -> None:
    root_fd = os.open(tmp_path, os.O_RDONLY)
    try:
        archived = stream(file(b".wh.x", b"1"), file(b".wh..wh..opq", b"2"))
        unpack_into(TarReader(archived), root_fd, lower=None, whiteouts=False)
        assert sorted(os.listdir(root_fd)) == [".wh..wh..opq", ".wh.x"]
    finally:
        os.close(root_fd)


def test_a_later_entry_replaces_an_earlier_one_of_another_type(
    unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    chain = unpack(
        directory(b"a/"), file(b"a/x"), directory(b"a/b/"), file(b"a/b/c"), file(b"a", b"file"),
        file(b"b", b"1"), directory(b"b/"), file(b"b/x", b"2"),
        symlink(b"c", b"b"), directory(b"c/"), file(b"c/y", b"3"),
        file(b"d", b"1"), hardlink(b"e", b"d"), file(b"e", b"2"),
        hardlink(b"f", b"d"), hardlink(b"f", b"d"), hardlink(b"e", b"d"),
    )  # fmt: skip
    with snapshotter.mounted(chain) as fd:
        assert (read(fd, "a"), read(fd, "b/x"), read(fd, "c/y"), read(fd, "d"), read(fd, "e")) == (
            "file", "2", "3", "1", "1"
        )  # fmt: skip
        assert os.stat("d", dir_fd=fd).st_nlink == 3
        assert os.listdir(os.open("b", os.O_RDONLY, dir_fd=fd)) == ["x"]


def test_modes_owners_times_and_attributes_arrive(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    capability = b"\x01\0\0\x02" + b"\0\x04" + bytes(14)
    chain = unpack(
        directory(b"./", mode=0o711, uid=1, gid=2, mtime=11),
        directory(b"setgid/", mode=0o2775, gid=8, mtime=22),
        file(b"setgid/child", b"x"),
        header(b"suid", mode=0o6755, uid=3, gid=4, mtime=33),
        pax((b"mtime", b"44.123456789"), (b"SCHILY.xattr.security.capability", capability)),
        file(b"ping", b"elf", mode=0o755),
        header(b"null", CHAR, device=(1, 3), mode=0o666, mtime=55),
    )
    with snapshotter.mounted(chain) as fd:
        root, setgid, suid = os.fstat(fd), os.stat("setgid", dir_fd=fd), os.stat("suid", dir_fd=fd)
        assert (root.st_mode & 0o7777, root.st_uid, root.st_gid, root.st_mtime) == (0o711, 1, 2, 11)
        assert (setgid.st_mode & 0o7777, setgid.st_gid, setgid.st_mtime) == (0o2775, 8, 22)
        assert os.stat("setgid/child", dir_fd=fd).st_gid == 0  # not inherited: the archive says 0
        assert (suid.st_mode & 0o7777, suid.st_uid, suid.st_gid, suid.st_mtime) == (0o6755, 3, 4, 33)
        assert os.stat("ping", dir_fd=fd).st_mtime_ns == 44_123_456_789
        null = os.stat("null", dir_fd=fd)
        assert (null.st_rdev, null.st_mode & 0o777, null.st_mtime) == (os.makedev(1, 3), 0o666, 55)
    [layer] = snapshotter.view_layers(chain)
    assert os.getxattr(f"{layer}/ping", "security.capability") == capability


def test_a_directory_that_a_layer_does_not_name_looks_like_the_one_below(
    unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    base = unpack(directory(b"tmp/", mode=0o1777, gid=9), directory(b"tmp/sub/", mode=0o700, uid=4))
    top = unpack(file(b"tmp/sub/f", b"x"), file(b"fresh/f", b"x"), parent=base)
    with snapshotter.mounted(top) as fd:
        tmp, sub = os.stat("tmp", dir_fd=fd), os.stat("tmp/sub", dir_fd=fd)
        assert (tmp.st_mode & 0o7777, tmp.st_gid, sub.st_mode & 0o7777, sub.st_uid) == (0o1777, 9, 0o700, 4)
        assert os.stat("fresh", dir_fd=fd).st_mode & 0o7777 == 0o755


def test_the_root_of_a_layer_without_a_root_entry_looks_like_the_one_below(
    unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    base = unpack(directory(b"./", mode=0o711, uid=7))
    snapshotter.prepare("key", unpack(file(b"f"), parent=base))
    with snapshotter.mounted("key") as fd:
        assert (os.fstat(fd).st_mode & 0o7777, os.fstat(fd).st_uid) == (0o711, 7)


def test_unpacking_what_is_there_does_not_read_the_stream(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    chain = unpack(file(b"f"))
    stream = io.BytesIO(b"not even tar")
    assert snapshotter.unpack(None, chain, stream) == chain and stream.tell() == 0


def test_two_threads_unpack_the_same_layer_and_both_succeed(snapshotter: OverlaySnapshotter, data_root: Path) -> None:
    data = archive(*(file(b"f%d" % number, b"x" * 5000) for number in range(300)))
    diff_id = f"sha256:{hashlib.sha256(data).hexdigest()}"
    results: list[str] = []

    def work() -> None:
        results.append(snapshotter.unpack(None, diff_id, io.BytesIO(data)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [diff_id] * 4
    for part, count in (("ingest", 0), ("layers", 1), ("l", 1)):
        assert len(os.listdir(data_root / "snapshots" / part)) == count


def test_everything_is_there_after_a_restart(
    data_root: Path, unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    base = unpack(file(b"f", b"1"))
    top = unpack(file(b"g", b"2"), parent=base)
    snapshotter.prepare("one", top)
    snapshotter.prepare("scratch", None)
    with snapshotter.mounted("one") as fd:
        os.unlink("f", dir_fd=fd)
    again = OverlaySnapshotter(str(data_root))
    try:
        assert again.has(base) and again.has(top)
        assert {(s.key, s.parent, s.committed) for s in again.all()} == {
            (base, None, True), (top, base, True), ("one", top, False), ("scratch", None, False)
        }  # fmt: skip
        with again.mounted("one") as fd:
            assert "f" not in os.listdir(fd) and read(fd, "g") == "2"
    finally:
        again.close()


def test_what_is_used_is_not_removed(unpack: Unpack, snapshotter: OverlaySnapshotter, data_root: Path) -> None:
    base = unpack(file(b"f", b"1"))
    top = unpack(file(b"g", b"2"), parent=base)
    snapshotter.prepare("one", top)
    for used in (base, top):
        with pytest.raises(SnapshotInUse):
            snapshotter.remove(used)
    for key in ("one", top, base, base, "never-was"):
        snapshotter.remove(key)
    assert snapshotter.all() == [] and not snapshotter.has(base)
    snapshotter._trash.wait()
    for part in ("layers", "active", "l", "trash"):
        assert os.listdir(data_root / "snapshots" / part) == []


def test_prepare_is_idempotent_and_checks_its_arguments(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    base = unpack(file(b"f"))
    snapshotter.prepare("one", base)
    snapshotter.prepare("one", base)
    with pytest.raises(SnapshotInUse):
        snapshotter.prepare("one", None)
    with pytest.raises(SnapshotNotFound):
        snapshotter.prepare("two", chain_ids(["sha256:" + "1" * 64])[0])
    for key in ("../x", "", "a/b", ".hidden", "sha256:" + "a" * 64):
        with pytest.raises(SnapshotFailed):
            snapshotter.prepare(key, base)
    for missing in (snapshotter.overlay, snapshotter.usage):
        with pytest.raises(SnapshotNotFound):
            missing("two")
    assert [s.key for s in snapshotter.all()] == [base, "one"]


def test_an_overlay_has_no_more_than_a_page_of_short_lower_paths(
    unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    chain = unpack(file(b"f0", b"x"))
    for number in range(1, 120):
        chain = unpack(file(b"f%d" % number, b"x"), parent=chain)
    snapshotter.prepare("deep", chain)
    assert all(len(os.path.basename(path)) <= 16 for path in snapshotter.overlay("deep")["lower"])
    with snapshotter.mounted("deep") as fd:
        assert len([name for name in os.listdir(fd) if name.startswith("f")]) == 120


def test_s36_s37_the_init_layer_hides_linked_mount_points(
    unpack: Unpack, snapshotter: OverlaySnapshotter, victim: Path
) -> None:
    links = [symlink(name, os.fsencode(victim)) for name in (b"dev", b"proc", b"sys", b"etc")]
    snapshotter.prepare("one", unpack(*links))
    with snapshotter.mounted("one") as fd:
        for name in ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc"):
            assert stat.S_ISDIR(os.lstat(name, dir_fd=fd).st_mode), name
        for name in ("dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf", ".dockerenv"):
            status = os.lstat(name, dir_fd=fd)
            assert stat.S_ISREG(status.st_mode) and status.st_size == 0, name
        assert os.readlink("etc/mtab", dir_fd=fd) == "/proc/mounts"


def test_the_init_layer_keeps_the_images_etc(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    base = unpack(directory(b"etc/", mode=0o750, uid=3, gid=4), file(b"etc/passwd", b"root"))
    snapshotter.prepare("one", unpack(file(b"other"), parent=base))
    with snapshotter.mounted("one") as fd:
        etc = os.stat("etc", dir_fd=fd)
        assert (etc.st_mode & 0o7777, etc.st_uid, etc.st_gid) == (0o750, 3, 4)
        assert read(fd, "etc/passwd") == "root" and read(fd, "etc/hosts") == ""


def test_mounted_leaves_nothing_in_the_mount_table(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    base = unpack(file(b"f", b"1"))
    snapshotter.prepare("one", base)
    before = Path("/proc/self/mountinfo").read_text()
    for key, readonly in (("one", False), ("one", True), (base, True)):
        with snapshotter.mounted(key, readonly=readonly) as fd:
            assert read(fd, "f") == "1"
            assert Path("/proc/self/mountinfo").read_text() == before


def test_a_volatile_snapshot_is_mounted_again_within_one_boot_only(
    unpack: Unpack, snapshotter: OverlaySnapshotter, data_root: Path, mount_overlay: Callable[..., None]
) -> None:
    snapshotter.prepare("one", unpack(file(b"f", b"1")))
    mount_overlay(snapshotter.overlay("one", volatile=True))
    mount_overlay(snapshotter.overlay("one", volatile=True))
    mount_overlay(snapshotter.overlay("one"))
    mount_overlay(snapshotter.overlay("one", volatile=True))
    mark = data_root / "snapshots/active/one/volatile"
    mark.unlink()
    mark.symlink_to("another-boot")
    with pytest.raises(SnapshotFailed, match="not synced"):
        snapshotter.overlay("one")


def test_usage_counts_a_linked_file_once_and_a_hole_not_at_all(
    unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    snapshotter.prepare("one", unpack(file(b"below", bytes(100_000))))
    before = snapshotter.usage("one")
    assert (before.size_bytes, before.inodes) == (0, 0)
    with snapshotter.mounted("one") as fd:
        handle = os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        os.write(handle, b"x" * 8192)
        os.close(handle)
        os.link("f", "g", src_dir_fd=fd, dst_dir_fd=fd)
        handle = os.open("hole", os.O_CREAT | os.O_WRONLY, dir_fd=fd)
        os.truncate(handle, 1 << 30)
        os.close(handle)
    usage = snapshotter.usage("one")
    assert usage.size_bytes == 8192 + (1 << 30) and usage.inodes == 2
    assert usage.disk_bytes < 64 << 10

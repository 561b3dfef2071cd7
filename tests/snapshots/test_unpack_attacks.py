"""What a hostile layer tries while it is unpacked (SECURITY.md, S20-S30, S32). Oracle H guards the host."""

import os
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.snapshots.conftest import Unpack
from tests.snapshots.host_walk import Record
from tests.snapshots.raw_tar import (
    BLOCK_DEVICE,
    CHAR,
    FIFO,
    REGULAR,
    archive,
    directory,
    file,
    hardlink,
    header,
    pax,
    stream,
    symlink,
)
from wherry.snapshots.overlay import OverlaySnapshotter
from wherry.snapshots.snapshotter import LayerRejected
from wherry.snapshots.tar_reader import TarReader
from wherry.snapshots.unpack import unpack as unpack_into

pytestmark = pytest.mark.privileged

_RACER = """
import ctypes, os, sys
os.chdir(sys.argv[1])
libc = ctypes.CDLL(None)
print("ready", flush=True)
while os.getppid() == int(sys.argv[2]):
    libc.renameat2(-100, b"a", -100, b"b", 2)  # RENAME_EXCHANGE
"""

Untouched = Callable[[], list[Record]]


@pytest.fixture
def root_of(snapshotter: OverlaySnapshotter) -> Callable[..., Path]:
    return lambda chain_id: Path(os.path.realpath(snapshotter.view_layers(chain_id)[0]))


@pytest.mark.parametrize(
    "name",
    [b"../victim/x", b"a/../../victim/x", b"..", b"a/..", b"./../x", b"../../../../../../victim/x"],
)
def test_s20_a_name_with_dot_dot_is_refused(
    name: bytes, unpack: Unpack, untouched: Untouched, nothing_left: Callable[[], None]
) -> None:
    with pytest.raises(LayerRejected, match=r"'\.\.'"):
        unpack(directory(b"a/"), file(name, b"pwned"))
    nothing_left()


def test_s20_an_absolute_name_lands_inside_the_root(
    unpack: Unpack, untouched: Untouched, victim: Path, root_of: Callable[..., Path]
) -> None:
    root = root_of(unpack(file(os.fsencode(victim) + b"/x", b"inside")))
    assert (root / str(victim).lstrip("/") / "x").read_text() == "inside"


@pytest.mark.parametrize("absolute", [False, True])
def test_s21_a_symlinked_parent_is_resolved_inside_the_root(
    absolute: bool, unpack: Unpack, untouched: Untouched, victim: Path
) -> None:
    target = os.fsencode(victim) if absolute else b"../../../../victim"
    with pytest.raises(LayerRejected, match="create 'a/pwn'"):
        unpack(symlink(b"a", target), file(b"a/pwn", b"pwned"))  # the target does not exist inside


def test_s21_a_symlinked_parent_that_exists_inside_is_followed_there(
    unpack: Unpack, untouched: Untouched, root_of: Callable[..., Path]
) -> None:
    root = root_of(unpack(directory(b"victim/"), symlink(b"a", b"../../../victim"), file(b"a/pwn", b"inside")))
    assert (root / "victim" / "pwn").read_text() == "inside"


def test_s22_a_chain_of_two_links_stays_inside(
    unpack: Unpack, untouched: Untouched, root_of: Callable[..., Path]
) -> None:
    root = root_of(
        unpack(
            directory(b"inner/"),
            directory(b"victim/"),
            symlink(b"inner/go_up", b".."),
            symlink(b"inner/go_up/escape", b"../victim"),
            file(b"inner/go_up/escape/newfile", b"inside"),
        )
    )
    assert (root / "victim" / "newfile").read_text() == "inside"


def test_s23_a_sibling_with_the_same_prefix_is_out_of_reach(
    unpack: Unpack, untouched: Untouched, nothing_left: Callable[[], None]
) -> None:
    with pytest.raises(LayerRejected):
        unpack(file(b"../fs-evil/x", b"pwned"))
    nothing_left()


@pytest.mark.parametrize("through", [b"../../../../victim/secret", b"link/secret"])
def test_s24_a_hard_link_does_not_reach_out(
    through: bytes, unpack: Unpack, untouched: Untouched, victim: Path
) -> None:
    with pytest.raises(LayerRejected):
        unpack(symlink(b"link", os.fsencode(victim)), hardlink(b"h", through), file(b"h", b"pwned"))


def test_s24_a_hard_link_to_a_symlink_is_another_name_of_the_link(
    unpack: Unpack, untouched: Untouched, victim: Path, root_of: Callable[..., Path]
) -> None:
    secret = os.fsencode(victim) + b"/secret"
    root = root_of(unpack(symlink(b"link", secret), hardlink(b"other", b"link")))
    assert os.path.samestat(os.lstat(root / "other"), os.lstat(root / "link"))
    root = root_of(unpack(symlink(b"link", secret), hardlink(b"h", b"link"), file(b"h", b"own")))
    assert (root / "h").read_text() == "own" and not (root / "h").is_symlink()
    assert os.readlink(root / "link") == os.fsdecode(secret)


@pytest.mark.parametrize("name", [b".", b"/", b"./", b"./."])
@pytest.mark.parametrize("flag", [b"2", b"0", b"6", b"1"])
def test_s25_the_root_does_not_change_its_type(
    name: bytes, flag: bytes, unpack: Unpack, untouched: Untouched
) -> None:
    with pytest.raises(LayerRejected):
        unpack(header(name, flag, link=b"../../../../victim"), file(b"x", b"pwned"))


@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh...", b"d/.wh.", b"d/.wh..", b"d/.wh..."])
def test_s26_a_whiteout_of_nothing_or_of_dots_is_refused(
    name: bytes, unpack: Unpack, untouched: Untouched, snapshotter: OverlaySnapshotter
) -> None:
    base = unpack(directory(b"d/"))
    with pytest.raises(LayerRejected):
        unpack(file(name), parent=base)


def test_s26_a_whiteout_through_a_symlink_stays_inside(unpack: Unpack, untouched: Untouched, victim: Path) -> None:
    base = unpack(directory(b"d/"))
    with pytest.raises(LayerRejected):
        unpack(symlink(b"d", os.fsencode(victim)), file(b"d/.wh.secret"), parent=base)


def test_s26_an_opaque_marker_does_not_go_through_a_symlink(
    unpack: Unpack, untouched: Untouched, victim: Path
) -> None:
    base = unpack(directory(b"d/"))
    link = symlink(b"d", os.fsencode(victim))
    with pytest.raises(LayerRejected):
        unpack(link, file(b"d/.wh..wh..opq"), parent=base)
    with pytest.raises(LayerRejected, match="not a directory"):
        unpack(directory(b"real/"), symlink(b"d", b"real"), file(b"d/.wh..wh..opq"), parent=base)


def test_s27_devices_and_fifos_are_made_and_never_opened(
    unpack: Unpack, untouched: Untouched, root_of: Callable[..., Path]
) -> None:
    started = time.monotonic()
    root = root_of(
        unpack(
            header(b"fifo", FIFO, mode=0o600, uid=7),
            header(b"tty", CHAR, device=(5, 0), mode=0o666),
            header(b"disk", BLOCK_DEVICE, device=(253, 3), mode=0o660, gid=6),
            hardlink(b"fifo2", b"fifo"),
            file(b"after", b"x"),
        )
    )
    assert time.monotonic() - started < 5  # opening the FIFO would wait for ever
    assert stat.S_ISFIFO(os.lstat(root / "fifo2").st_mode) and os.lstat(root / "fifo").st_uid == 7
    assert os.lstat(root / "tty").st_rdev == os.makedev(5, 0)
    disk = os.lstat(root / "disk")
    assert stat.S_ISBLK(disk.st_mode) and disk.st_rdev == os.makedev(253, 3) and disk.st_mode & 0o777 == 0o660


def test_s27_a_fifo_in_the_place_of_a_file_is_replaced_not_written(
    unpack: Unpack, root_of: Callable[..., Path]
) -> None:
    root = root_of(unpack(header(b"etc", FIFO), file(b"etc", b"data")))
    assert (root / "etc").read_text() == "data"


def test_s28_overlay_attributes_are_stripped(unpack: Unpack, root_of: Callable[..., Path]) -> None:
    hostile = pax(
        (b"SCHILY.xattr.trusted.overlay.redirect", b"/etc"),
        (b"SCHILY.xattr.trusted.overlay.opaque", b"y"),
        (b"SCHILY.xattr.trusted.overlay.metacopy", b""),
        (b"SCHILY.xattr.user.overlay.redirect", b"/etc"),
        (b"SCHILY.xattr.user.kept", b"yes"),
    )
    root = root_of(unpack(hostile, directory(b"d/"), hostile, file(b"f", b"x"), hostile, directory(b"./")))
    for path in (root, root / "d", root / "f"):
        assert os.listxattr(path) == ["user.kept"]


def test_s29_a_racer_that_flips_a_component_gains_nothing(
    tmp_path: Path, untouched: Untouched, victim: Path, data_root: Path
) -> None:
    root = data_root / "root"
    root.mkdir()
    (root / "a").mkdir()
    os.symlink(victim, root / "b")
    command = [sys.executable, "-I", "-c", _RACER, str(root), str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd="/") as racer:
        try:
            assert racer.stdout is not None and racer.stdout.readline() == b"ready\n"
            written, refused = _race(root, seconds=3)
        finally:
            racer.kill()
    assert written and refused  # both sides of the race were met


def _race(root: Path, *, seconds: float) -> tuple[int, int]:
    """Unpack below ``a`` again and again; how often it went into the directory, and how often into the link."""
    deadline = time.monotonic() + seconds
    written = refused = 0
    while time.monotonic() < deadline:
        root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            for member in (
                header(b"a/x%d" % written, REGULAR, mode=0o4777, uid=1),
                symlink(b"a/l%d" % written, b"x"),
            ):
                try:
                    unpack_into(TarReader(stream(member)), root_fd, lower=None)
                    written += 1
                except LayerRejected:
                    refused += 1
        finally:
            os.close(root_fd)
    return written, refused


def test_s30_metadata_does_not_go_through_a_link(
    unpack: Unpack, untouched: Untouched, victim: Path, root_of: Callable[..., Path]
) -> None:
    secret = os.fsencode(victim) + b"/secret"
    root = root_of(
        unpack(
            symlink(b"link", secret),
            header(b"link", b"2", link=secret, mode=0o4777, uid=1234, gid=1234, mtime=5),
            symlink(b"dir", os.fsencode(victim)),
            directory(b"dir/", mode=0o777, uid=1234, mtime=5),
        )
    )
    assert os.lstat(root / "link").st_uid == 1234 and os.lstat(root / "link").st_mtime == 5
    assert stat.S_ISDIR(os.lstat(root / "dir").st_mode)  # the link was replaced, not followed


def test_s32_another_user_of_the_host_reaches_no_layer(
    data_root: Path, unpack: Unpack, root_of: Callable[..., Path]
) -> None:
    root = root_of(unpack(directory(b"./", mode=0o755), file(b"su", b"#!/bin/sh", mode=0o4755)))
    for path in [data_root, *data_root.parents]:  # pytest's own directories are private already: open them
        if path == Path("/tmp"):
            break
        path.chmod(0o755)
    assert os.lstat(root / "su").st_mode & 0o7777 == 0o4755
    seen = subprocess.run(
        [sys.executable, "-I", "-c", "import os, sys; os.setuid(65534); os.stat(sys.argv[1])", str(root / "su")],
        capture_output=True,
        check=False,
    )
    assert b"PermissionError" in seen.stderr
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (data_root / "snapshots").iterdir()}
    assert modes == {0o700} and stat.S_IMODE((data_root / "snapshots").stat().st_mode) == 0o700


def test_unpacking_does_not_change_the_umask_of_other_threads(unpack: Unpack) -> None:
    old = os.umask(0o027)
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            with open("/proc/self/status") as status:
                seen.extend(int(line.split()[1], 8) for line in status if line.startswith("Umask:"))

    thread = threading.Thread(target=look)
    thread.start()
    try:
        unpack(*(file(b"f%d" % number, b"x", mode=0o666) for number in range(200)))
    finally:
        stop.set()
        thread.join()
        os.umask(old)
    assert set(seen) == {0o027}


def test_an_archive_of_the_oldest_kind_still_works(unpack: Unpack, root_of: Callable[..., Path]) -> None:
    data = archive(header(b"d/", b"\0", magic=bytes(8), mode=0o700), file(b"d/f", b"x"))[:-1024]
    root = root_of(unpack(data))
    assert (root / "d" / "f").read_text() == "x" and os.stat(root / "d").st_mode & 0o777 == 0o700

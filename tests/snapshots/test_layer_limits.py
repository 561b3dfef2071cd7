"""What an image may cost (SECURITY.md, S18, S19): a layer over a bound is refused while it streams, nothing stays."""

import hashlib
import io
import itertools
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.snapshots.conftest import Unpack
from tests.snapshots.raw_tar import GNU, Endless, directory, file, header, long_name, pax, record
from wherry.snapshots.overlay import OverlaySnapshotter
from wherry.snapshots.snapshotter import LayerRejected

pytestmark = pytest.mark.privileged

Check = Callable[[], None]
_DIFF_ID = "sha256:" + "0" * 64


def test_s18_a_layer_over_the_byte_cap_is_stopped_at_the_cap(
    snapshotter: OverlaySnapshotter, nothing_left: Check
) -> None:
    zeros = bytes(1 << 20)
    bomb = Endless(itertools.chain([header(b"zeros", size=1 << 32)], itertools.repeat(zeros)))
    with pytest.raises(LayerRejected, match="larger than 33554432 bytes"):
        snapshotter.unpack(None, _DIFF_ID, bomb, max_bytes=32 << 20)
    assert bomb.given <= (33 << 20) + 512
    nothing_left()


def test_s18_what_follows_the_archive_counts_too(snapshotter: OverlaySnapshotter, nothing_left: Check) -> None:
    bomb = Endless(itertools.chain([bytes(1024)], itertools.repeat(b"garbage" * 10000)))
    with pytest.raises(LayerRejected, match="larger than"):
        snapshotter.unpack(None, _DIFF_ID, bomb, max_bytes=8 << 20)
    nothing_left()


def test_s19_ten_million_files_are_stopped_at_the_entry_cap(
    snapshotter: OverlaySnapshotter, nothing_left: Check
) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    members = Endless(header(b"d/%d" % number) for number in range(10_000_000))
    with pytest.raises(LayerRejected, match="too many entries"):
        snapshotter.unpack(None, _DIFF_ID, members, max_entries=2000)
    assert members.given <= 512 * 2100
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10
    nothing_left()


def test_s19_headers_without_an_entry_count_too(snapshotter: OverlaySnapshotter, nothing_left: Check) -> None:
    endless = Endless(itertools.repeat(pax((b"comment", b"x"), flag=b"g")))
    with pytest.raises(LayerRejected, match="too many entries"):
        snapshotter.unpack(None, _DIFF_ID, endless, max_entries=1000)
    nothing_left()


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([pax((b"path", b"/".join([b"d"] * 2000))), header(b"x")], "path too deep"),
        ([pax((b"path", b"/".join([b"d"] * 5000))), header(b"x")], "name too long"),
        ([long_name(b"/".join([b"d"] * 1500)), header(b"x")], "path too deep"),
        ([long_name(b"n" * 256), header(b"x")], "name too long"),
        ([long_name(b"n" * 100_000), header(b"x")], "over the limit"),
        ([pax((b"linkpath", b"l" * 5000)), header(b"x", b"2")], "link target too long"),
        ([header(b"PaxHeaders/x", b"x", size=2 << 20), bytes(2 << 20)], "over the limit"),
        ([pax(*((b"SCHILY.xattr.user.%d" % n, b"") for n in range(200))), header(b"x")], "too many extended attributes"),
        ([pax((b"SCHILY.xattr.user.big", bytes(70_000))), header(b"x")], "invalid extended attribute"),
        ([pax((b"SCHILY.xattr.user.a\0b", b"")), header(b"x")], "invalid extended attribute"),
        ([header(b"x", b"S", magic=GNU, raw={483: b"\x80\0\0\0\x7f" + b"\xff" * 7})], "over the limit"),
        ([pax((b"GNU.sparse.size", b"9223372036854775807"), (b"GNU.sparse.numblocks", b"0"), (b"GNU.sparse.map", b"")),
          header(b"x")], "over the limit"),
        ([pax((b"size", b"9223372036854775807")), header(b"x")], "over the limit"),
        ([pax(data=record(b"GNU.sparse.offset", b"1") * 40_000), header(b"x")], "sparse|over the limit"),
    ],
)  # fmt: skip
def test_s19_metadata_bombs_are_refused(
    members: list[bytes], reason: str, unpack: Unpack, nothing_left: Check
) -> None:
    with pytest.raises(LayerRejected, match=reason):
        unpack(directory(b"d/"), *members)
    nothing_left()


def test_s19_a_deep_path_within_the_limits_is_unpacked(unpack: Unpack, snapshotter: OverlaySnapshotter) -> None:
    chain = unpack(long_name(b"/".join([b"d"] * 500)), header(b"x", b"5"))
    assert snapshotter.usage(chain).inodes == 500


def test_s07_content_that_is_not_what_the_diff_id_says_is_refused(
    snapshotter: OverlaySnapshotter, nothing_left: Check
) -> None:
    data = file(b"a", b"x") + bytes(1024)
    right = hashlib.sha256(data).hexdigest()
    for wrong in (data + b"\0", file(b"a", b"y") + bytes(1024)):
        with pytest.raises(LayerRejected, match="its content has the digest"):
            snapshotter.unpack(None, f"sha256:{right}", io.BytesIO(wrong))
    nothing_left()


def test_an_error_of_the_stream_comes_through_unchanged(
    snapshotter: OverlaySnapshotter, nothing_left: Check, data_root: Path
) -> None:
    class Broken:
        def __init__(self) -> None:
            self.parts = [header(b"a", size=5000), bytes(1000)]

        def read(self, size: int, /) -> bytes:
            if self.parts:
                return self.parts.pop(0)
            raise ConnectionResetError("the registry hung up")

    with pytest.raises(ConnectionResetError, match="hung up"):
        snapshotter.unpack(None, _DIFF_ID, Broken())
    nothing_left()


def test_s19_a_layer_that_replaces_its_directories_costs_no_more_than_another(unpack: Unpack) -> None:
    """60,000 directories, half of them replaced by a file: with a look at all of them for each it took minutes."""
    names = [b"d/%d" % number for number in range(30_000)]
    members = [directory(b"d"), *(directory(name) for name in names), *(file(name) for name in names)]
    began = time.monotonic()
    unpack(*members)
    assert time.monotonic() - began < 20


def test_a_directory_that_was_replaced_leaves_its_time_to_nobody(
    unpack: Unpack, snapshotter: OverlaySnapshotter
) -> None:
    chain_id = unpack(
        directory(b"a", mtime=1_000_000_000), directory(b"a/b", mtime=1_000_000_000), file(b"a"),
        directory(b"a", mtime=1_100_000_000), file(b"a/b"), directory(b"c", mode=0o2755, mtime=1_200_000_000), file(b"c/x"),
    )  # fmt: skip
    [layer] = snapshotter.view_layers(chain_id)
    assert os.stat(f"{layer}/a").st_mtime == 1_100_000_000
    assert os.stat(f"{layer}/c").st_mtime == 1_200_000_000
    assert os.stat(f"{layer}/c").st_mode & 0o2000

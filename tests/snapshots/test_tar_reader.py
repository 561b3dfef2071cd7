"""Every form of tar that real layers come in, and how malformed ones are refused."""

import io
import os
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.snapshots.raw_tar import (
    CHAR,
    GNU,
    V7,
    archive,
    directory,
    file,
    header,
    long_name,
    padded,
    pax,
    record,
    stream,
    symlink,
)
from wherry.snapshots.tar_reader import HARDLINK, Entry, TarError, TarReader


class Dribble:
    """A source that gives one to three bytes a read, as a socket may."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int, /) -> bytes:
        self._at += (count := 1 + self._at % 3)
        return self._data[self._at - count : self._at]


def read(*members: bytes, end: bytes | None = None) -> list[tuple[Entry, bytes]]:
    reader = TarReader(stream(*members) if end is None else io.BytesIO(archive(*members, end=end)))
    return [(entry, b"".join(reader.chunks())) for entry in reader]


def only(*members: bytes) -> Entry:
    [(entry, _)] = read(*members)
    return entry


def test_a_plain_file_has_its_fields_and_data() -> None:
    [(entry, data)] = read(file(b"./etc//passwd", b"root", mode=0o640, uid=3, gid=4))
    assert (entry.path, entry.file_type, entry.mode) == (b"etc/passwd", stat.S_IFREG, 0o640)
    assert (entry.uid, entry.gid, entry.size, data) == (3, 4, 4, b"root")
    assert entry.mtime_ns == 1_700_000_000 * 10**9


def test_reads_that_come_in_drops_make_no_difference() -> None:
    data = archive(long_name(b"n" * 150), file(b"x", b"a" * 700), pax((b"path", b"y")), file(b"z", b"b" * 512))
    reader = TarReader(Dribble(data))
    assert [(entry.path, b"".join(reader.chunks())) for entry in reader] == [
        (b"n" * 150, b"a" * 700),
        (b"y", b"b" * 512),
    ]


def test_data_that_nobody_wants_is_passed_over() -> None:
    reader = TarReader(stream(file(b"a", bytes(3000)), file(b"b", b"x")))
    assert [entry.path for entry in reader] == [b"a", b"b"]


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_what_pythons_tarfile_writes_is_read_alike(format: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=format) as tar:
        info = tarfile.TarInfo("dir/" + "x" * 90 + "/name")
        info.size, info.mode, info.uid, info.mtime = 5, 0o4755, 0o7777, 12345
        tar.addfile(info, io.BytesIO(b"hello"))
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "t" * (90 if format == tarfile.USTAR_FORMAT else 300)
        tar.addfile(link)
        device = tarfile.TarInfo("device")
        device.type, device.devmajor, device.devminor = tarfile.BLKTYPE, 8, 1
        tar.addfile(device)
    buffer.seek(0)
    reader = TarReader(buffer)
    first, second, third = list(reader)
    assert (first.path, first.mode, first.uid, first.size) == (info.name.encode(), 0o4755, 0o7777, 5)
    assert second.link == link.linkname.encode() and third.device == (8, 1)


@pytest.mark.parametrize("format", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_gnu_tar_writes_is_read_alike(format: str, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    (tree / ("d" * 60)).mkdir(parents=True)
    (tree / ("d" * 60) / "file").write_bytes(b"data")
    (tree / "link").symlink_to("target")
    (tree / "hard").hardlink_to(tree / ("d" * 60) / "file")
    data = subprocess.run(
        ["tar", f"--format={format}", "--sort=name", "-C", str(tree), "-cf", "-", "."],
        check=True,
        capture_output=True,
    ).stdout
    entries = {entry.path: entry for entry in TarReader(io.BytesIO(data))}
    assert set(entries) == {b"", b"d" * 60, b"d" * 60 + b"/file", b"link", b"hard"}
    assert entries[b"hard"].file_type == HARDLINK and entries[b"hard"].link == b"d" * 60 + b"/file"


@pytest.mark.parametrize("version", ["0.0", "0.1", "1.0", "old"])
def test_every_sparse_format_of_gnu_tar(version: str, tmp_path: Path) -> None:
    size = 40 << 20
    sparse = tmp_path / ("sparse-" + "n" * 100)
    with sparse.open("wb") as handle:
        handle.truncate(size)
        for number in range(60):  # more extents than a header and one extension block hold
            os.pwrite(handle.fileno(), b"%04d" % number * 1024, number << 19)
    options = ["--format=gnu"] if version == "old" else ["--format=posix", f"--sparse-version={version}"]
    data = subprocess.run(
        ["tar", "-S", *options, "-C", str(tmp_path), "-cf", "-", sparse.name], check=True, capture_output=True
    ).stdout
    reader = TarReader(io.BytesIO(data))
    [(entry, stored)] = [(entry, b"".join(reader.chunks())) for entry in reader]
    assert entry.path == sparse.name.encode() and entry.size == size and entry.sparse is not None
    content = bytearray(size)
    at = 0
    for offset, length in entry.sparse:
        content[offset : offset + length] = stored[at : at + length]
        at += length
    assert bytes(content) == sparse.read_bytes()


def test_pax_records_override_the_header() -> None:
    entry = only(
        pax(
            (b"path", b"real\xff\xfename"),
            (b"size", b"3"),
            (b"uid", b"70000"),
            (b"gid", b"3000000000"),
            (b"mtime", b"12.000000345"),
            (b"SCHILY.xattr.security.capability", b"\x01\0\n="),
            (b"comment", b"ignored"),
            (b"size", b"4"),
        ),
        header(b"short", size=0) + padded(b"four"),
    )
    assert (entry.path, entry.size, entry.uid, entry.gid) == (b"real\xff\xfename", 4, 70000, 3000000000)
    assert entry.mtime_ns == 12_000_000_345 and entry.xattrs == {b"security.capability": b"\x01\0\n="}


def test_times_before_1970_and_fractions() -> None:
    assert only(pax((b"mtime", b"-1.5")), file(b"x")).mtime_ns == -1_500_000_000
    negative = header(b"x", raw={136: b"\xff" * 11 + b"\xfe"})
    assert only(negative).mtime_ns == -2_000_000_000


def test_a_global_header_holds_for_what_follows_until_overridden() -> None:
    (first, _), (second, _) = read(
        pax((b"uid", b"7"), (b"mtime", b"1"), flag=b"g"), file(b"a"), pax((b"uid", b"8")), file(b"b")
    )
    assert (first.uid, second.uid, second.mtime_ns) == (7, 8, 10**9)


def test_numbers_in_base_256() -> None:
    entry = only(header(b"x", raw={108: b"\x80\0\0\0\x80\0\0\1"}))
    assert entry.uid == 0x80000001


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ([header(b"x", checksum=b"000000\0 ")], "checksum"),
        ([header(b"x", checksum=b"%06o\0 " % 65521)], "checksum"),
        ([b"garbage" * 100], "checksum"),
        ([header(b"")], "empty name"),
        ([header(b"x", b"V")], "unsupported"),
        ([header(b"x", b"X")], "unsupported"),
        ([header(b"x/", b"0")], "ends in '/'"),
        ([header(b"x/", b"2", link=b"y")], "ends in '/'"),
        ([header(b"x", b"5", size=512), bytes(512)], "not a regular"),
        ([header(b"x", raw={124: b"-0000000001\0"})], "invalid size"),
        ([header(b"x", raw={124: b"0x1\0\0\0\0\0\0\0\0\0"})], "invalid size"),
        ([header(b"x", raw={124: b"1_0\0\0\0\0\0\0\0\0\0"})], "invalid size"),
        ([header(b"x", raw={124: b"00000000009\0"})], "invalid size"),
        ([header(b"x", raw={124: b"\xff" * 12})], "out of range"),
        ([header(b"x", raw={124: b"\x80" + b"\x7f" * 11})], "out of range"),
        ([header(b"x", raw={108: b"\xff" * 8})], "out of range"),
        ([header(b"x", raw={124: b"\x80\0\0\0\0\x7f\xff\xff\xff\xff\xff\xff"})], "over the limit"),
        ([pax((b"uid", b"4294967295")), header(b"x")], "out of range"),
        ([pax((b"size", b"-1")), header(b"x")], "invalid number"),
        ([pax((b"size", b"1 ")), header(b"x")], "invalid number"),
        ([pax((b"path", b"")), header(b"x")], "invalid PAX path"),
        ([pax((b"path", b"a\0b")), header(b"x")], "invalid PAX path"),
        ([pax((b"mtime", b"1e5")), header(b"x")], "invalid time"),
        ([pax(data=b"8 path=x\n"), header(b"y")], "PAX record"),
        ([pax(data=b"010 path=x\n"), header(b"y")], "PAX record"),
        ([pax(data=b" 9 path=x\n"), header(b"y")], "PAX record"),
        ([pax(data=b"5 =x\n"), header(b"y")], "PAX record"),
        ([pax(data=record(b"path", b"x") + b"\0\0\0"), header(b"y")], "PAX record"),
        ([pax((b"path", b"a")), pax((b"path", b"b")), header(b"x")], "two PAX"),
        ([pax((b"path", b"a")), long_name(b"b"), header(b"x")], "two names"),
        ([long_name(b"a"), long_name(b"b"), header(b"x")], "unsupported"),
        ([pax((b"path", b"a"), flag=b"g"), header(b"x")], "global"),
        ([pax((b"path", b"a"))], "without an entry"),
        ([pax((b"GNU.sparse.size", b"9"), (b"GNU.sparse.numblocks", b"1")), header(b"x")], "sparse"),
        ([pax((b"size", b"5")), header(b"x", b"1", link=b"y")], "hard link"),
        ([file(b"x"), bytes(512), file(b"y")], "lone block"),
        ([header(b"x", b"S", magic=GNU, raw={386: b"00000000010\x0000000000001\x00", 483: b"00000000001\0"})], "sparse"),
    ],
)  # fmt: skip
def test_s31_what_is_ambiguous_or_malformed_is_refused(members: list[bytes], reason: str) -> None:
    with pytest.raises(TarError, match=reason) as caught:
        read(*members)
    assert "at byte" in str(caught.value)


@pytest.mark.parametrize("cut", [1, 511, 512 + 1, 1023, 1024 + 100])
def test_a_cut_archive_is_refused(cut: int) -> None:
    whole = archive(file(b"x", bytes(1500)), end=b"")
    with pytest.raises(TarError, match="unexpected EOF"):
        list(TarReader(io.BytesIO(whole[:cut])))


@pytest.mark.parametrize("end", [b"", bytes(512), bytes(1024), bytes(10240), bytes(1024) + b"garbage after the end"])
def test_the_ways_an_archive_may_end(end: bytes) -> None:
    assert [entry.path for entry, _ in read(file(b"x", b"data"), symlink(b"y", b"z"), end=end)] == [b"x", b"y"]


def test_drain_reads_to_the_real_end() -> None:
    source = io.BytesIO(archive(directory(b"d/"), end=bytes(1024) + bytes(3 << 20)))
    reader = TarReader(source)
    assert len(list(reader)) == 1
    reader.drain()
    assert source.read() == b"" and reader.offset == len(source.getvalue())


def test_s31_a_header_from_before_ustar_has_no_device_numbers() -> None:
    """GNU tar and Go read 0:0 whatever stands in their place (found by the property test)."""
    entry = only(header(b"c", CHAR, device=(8, 1), magic=V7))
    assert (entry.file_type, entry.device) == (stat.S_IFCHR, (0, 0))
    assert only(header(b"c", CHAR, device=(8, 1), magic=GNU)).device == (8, 1)

"""Archives come from containers and are hostile: nothing may be written outside the destination (S69)."""

import io
import os
import stat
import tarfile
from pathlib import Path

import pytest

from wherry.cli.archive_extract import extract
from wherry.cli.archive_pack import pack
from wherry.cli.cp import split_target
from wherry.cli.errors import CommandFailed


def _archive(*members: tuple[str, bytes, str]) -> list[bytes]:
    """(type letter and name, content or link target, …) as tar chunks of odd sizes."""
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w") as archive:
        for name, kind, text in members:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.mode = 0o4755
            if kind == tarfile.REGTYPE:
                info.size = len(text)
                archive.addfile(info, io.BytesIO(text.encode()))
            else:
                info.linkname = text
                archive.addfile(info)
    data = sink.getvalue()
    return [data[start : start + 777] for start in range(0, len(data), 777)]


FILE, FOLDER, LINK, HARD, DEVICE = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE


def test_files_folders_and_links_are_unpacked_under_the_new_name(tmp_path: Path) -> None:
    chunks = _archive(("a", FOLDER, ""), ("a/f", FILE, "text"), ("a/l", LINK, "f"), ("a/h", HARD, "a/f"))
    extract(chunks, str(tmp_path), rename_to="b")
    assert (tmp_path / "b/f").read_text() == "text"
    assert os.readlink(tmp_path / "b/l") == "f"
    assert (tmp_path / "b/h").stat().st_ino == (tmp_path / "b/f").stat().st_ino
    assert stat.S_IMODE((tmp_path / "b/f").stat().st_mode) == 0o755


def test_s69_a_name_with_dots_is_refused(tmp_path: Path) -> None:
    target = tmp_path / "in"
    target.mkdir()
    with pytest.raises(CommandFailed, match="leads out of the destination"):
        extract(_archive(("a/../../out", FILE, "x")), str(target), rename_to="a")
    assert os.listdir(tmp_path) == ["in"] and os.listdir(target) == []


def test_s69_an_absolute_name_stays_inside(tmp_path: Path) -> None:
    extract(_archive(("/etc/f", FILE, "x")), str(tmp_path), rename_to="")
    assert (tmp_path / "f").read_text() == "x"


def test_s69_a_link_made_by_the_archive_is_not_followed(tmp_path: Path) -> None:
    outside, target = tmp_path / "outside", tmp_path / "in"
    outside.mkdir()
    target.mkdir()
    chunks = _archive(("a", FOLDER, ""), ("a/l", LINK, str(outside)), ("a/l/f", FILE, "x"))
    with pytest.raises(CommandFailed, match=r"Not a directory|Too many levels"):
        extract(chunks, str(target), rename_to="a")
    assert os.listdir(outside) == []


def test_s69_a_link_is_replaced_not_written_through(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    target = tmp_path / "in"
    target.mkdir()
    chunks = _archive(("a", LINK, str(victim)), ("a", FILE, "x"))
    extract(chunks, str(target), rename_to="a")
    assert victim.read_text() == "safe" and (target / "a").read_text() == "x"


def test_s69_a_hard_link_to_the_outside_is_refused(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("safe")
    target = tmp_path / "in"
    target.mkdir()
    with pytest.raises(CommandFailed, match="leads out"):
        extract(_archive(("a", FOLDER, ""), ("a/h", HARD, "../victim")), str(target), rename_to="a")
    assert victim.stat().st_nlink == 1


def test_devices_are_left_out(tmp_path: Path) -> None:
    extract(_archive(("a", FOLDER, ""), ("a/null", DEVICE, "")), str(tmp_path), rename_to="a")
    assert os.listdir(tmp_path / "a") == []


def test_an_archive_that_is_cut_is_an_error(tmp_path: Path) -> None:
    chunks = _archive(("f", FILE, "x" * 5000))
    with pytest.raises(CommandFailed, match="unpack archive"):
        extract(chunks[:2], str(tmp_path), rename_to="f")


def test_a_packed_folder_is_unpacked_the_same(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "deep").mkdir(parents=True)
    target.mkdir()
    (source / "deep/f").write_bytes(os.urandom(3_000_000))
    (source / "l").symlink_to("deep")
    extract(pack(str(source), "copy"), str(target), rename_to="copy")
    assert (target / "copy/deep/f").read_bytes() == (source / "deep/f").read_bytes()
    assert os.readlink(target / "copy/l") == "deep"
    assert b"".join(pack(str(source), "")).count(b"deep/f") == 1


def test_a_file_that_cannot_be_read_ends_the_stream_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(CommandFailed, match="archive"):
        list(pack(str(tmp_path / "none"), "x"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("c:/a", ("c", "/a")),
        ("/a:b", ("", "/a:b")),
        ("./a:b", ("", "./a:b")),
        ("a", ("", "a")),
        ("-", ("", "-")),
        ("c:a", ("c", "a")),
    ],
)
def test_a_container_is_told_from_a_path(text: str, expected: tuple[str, str]) -> None:
    assert split_target(text) == expected

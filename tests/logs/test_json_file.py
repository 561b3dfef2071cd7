"""The json-file format, byte for byte."""

import errno
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wherry.logs.driver import LogDriver, open_driver, remove_logs
from wherry.logs.json_file import escape
from wherry.logs.reader import LogQuery, read_log
from wherry.logs.timestamp import format_timestamp


def driver(path: Path, **options: Any) -> LogDriver:
    return open_driver({"driver": "json-file", "path": str(path), **options})


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_a_line_is_dockers_object(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log")
    log.write("stdout", b"hello\n")
    text = (tmp_path / "c.log").read_text()
    time = json.loads(text)["time"]
    assert text == '{"log":"hello\\n","stream":"stdout","time":"' + time + '"}\n'
    assert time.endswith("Z")


def test_lines_of_one_chunk_become_one_record_each(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log")
    log.write("stdout", b"a\n\nb\nunfinished")
    assert [r["log"] for r in records(tmp_path / "c.log")] == ["a\n", "\n", "b\n"]
    log.write("stdout", b" now\n")
    assert records(tmp_path / "c.log")[-1]["log"] == "unfinished now\n"


def test_the_last_line_without_newline_is_stored_without_one(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log")
    log.write("stderr", b"end")
    assert records(tmp_path / "c.log") == []
    log.end_stream("stderr")
    assert [(r["stream"], r["log"]) for r in records(tmp_path / "c.log")] == [("stderr", "end")]


def test_escapes_are_those_of_docker() -> None:
    assert escape(b'a"b\\c\t\x01\r<&>\x7f') == b'a\\"b\\\\c\\u0009\\u0001\\r\\u003c\\u0026\\u003e\x7f'
    assert escape("\u2028ä€😀".encode()) == b"\\u2028" + "ä€😀".encode()


def test_every_byte_that_is_not_utf8_becomes_one_replacement() -> None:
    assert escape(b"\xff\xfe\xe2\x82x") == b"\\ufffd\\ufffd\\ufffd\\ufffdx"
    assert escape(b"\xed\xa0\x80") == b"\\ufffd" * 3  # an encoded surrogate, as Go sees it


@given(st.text())
@settings(deadline=None)
def test_what_is_written_is_read_back(text: str) -> None:
    line = text.replace("\n", " ")
    assert json.loads(b'"' + escape(line.encode(errors="replace")) + b'"') == line.encode(errors="replace").decode()


def test_a_long_line_is_cut_at_16_kib_as_docker_does(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log")
    log.write("stdout", b"x" * 40_000 + b"\nshort\n")
    texts = [r["log"] for r in records(tmp_path / "c.log")]
    assert [len(text) for text in texts] == [16384, 16384, 40_000 - 2 * 16384 + 1, 6]
    assert [text.endswith("\n") for text in texts] == [False, False, True, True]


def test_a_line_of_exactly_16_kib_ends_with_an_empty_piece(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log")
    log.write("stdout", b"x" * 16384 + b"\n")
    assert [len(r["log"]) for r in records(tmp_path / "c.log")] == [16384, 1]


@given(st.lists(st.integers(0, 40_000), max_size=6), st.integers(1, 70_000))
@settings(deadline=None, max_examples=30)
def test_the_chunks_of_a_stream_do_not_show_in_the_log(lengths: list[int], size: int) -> None:
    from wherry.logs.line_splitter import LineSplitter

    data = b"".join(b"%d" % (length % 10) * length + b"\n" for length in lengths)

    def cut(splitter: LineSplitter, chunks: list[bytes]) -> list[tuple[bytes, bool]]:
        out = []
        for run, partial in (item for chunk in chunks for item in splitter.feed(chunk)):
            out += [(run, True)] if partial else [(line, False) for line in run.splitlines(keepends=True)]
        return out

    whole = cut(LineSplitter(), [data])
    assert cut(LineSplitter(), [data[at : at + size] for at in range(0, len(data), size)]) == whole
    assert b"".join(piece for piece, _ in whole) == data


def test_labels_and_variables_are_attrs(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log", attributes={"b": "2", "a": "1"})
    log.write("stdout", b"x\n")
    assert (
        (tmp_path / "c.log")
        .read_text()
        .startswith('{"log":"x\\n","stream":"stdout","attrs":{"a":"1","b":"2"},"time":')
    )


def test_the_log_is_capped_by_default_s67(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log")
    chunk = b"y\n" * 32768
    for _ in range(100):
        log.write("stdout", chunk)
    sizes = [p.stat().st_size for p in tmp_path.iterdir()]
    assert len(sizes) == 5
    assert sum(sizes) < 5 * (20 << 20) + 5000


def test_rotation_keeps_max_file_files_and_every_line_whole(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log", max_size=4096, max_files=3)
    for number in range(500):
        log.write("stdout", b"line %d\n" % number)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.log", "c.log.1", "c.log.2"]
    kept = [int(r["log"].split()[1]) for name in ("c.log.2", "c.log.1", "c.log") for r in records(tmp_path / name)]
    assert kept == list(range(kept[0], 500))
    assert all(p.stat().st_size < 4096 + 100 for p in tmp_path.iterdir())


def test_one_file_is_emptied_when_it_is_full(tmp_path: Path) -> None:
    log = driver(tmp_path / "c.log", max_size=4096, max_files=1)
    for number in range(500):
        log.write("stdout", b"line %d\n" % number)
    assert [p.name for p in tmp_path.iterdir()] == ["c.log"]
    assert records(tmp_path / "c.log")[-1]["log"] == "line 499\n"


@pytest.mark.privileged
def test_r06_a_full_disk_costs_lines_and_nothing_else(tmp_path: Path) -> None:
    mount = tmp_path / "small"
    mount.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", mount], check=True)
    log = driver(mount / "c.log", max_size=-1)
    try:
        with pytest.raises(OSError) as caught:
            for number in range(10_000):
                log.write("stdout", b"line %d\n" % number)
        assert caught.value.errno == errno.ENOSPC
        before = records(mount / "c.log")
        assert before[-1]["log"].startswith("line ")
        os.truncate(mount / "c.log", 0)
        log.write("stdout", b"after\n")
        assert records(mount / "c.log")[-1]["log"] == "after\n"
    finally:
        log.close()
        subprocess.run(["umount", mount], check=True)


def test_timestamps_are_gos_rfc3339nano() -> None:
    assert format_timestamp(0) == "1970-01-01T00:00:00Z"
    assert format_timestamp(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
    assert format_timestamp(1_700_000_000_000_000_001) == "2023-11-14T22:13:20.000000001Z"


def test_removing_a_log_removes_its_rotated_files_only(tmp_path: Path) -> None:
    for name in ("c.log", "c.log.1", "c.log.12", "c.log.new", "c.logx", "c.log.bak"):
        (tmp_path / name).touch()
    remove_logs(str(tmp_path / "c.log"))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["c.log.bak", "c.logx"]


def test_a_truncated_record_is_skipped_when_reading(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    log = driver(path)
    log.write("stdout", b"one\ntwo\nthree\n")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[1][:20] + b"\n" + lines[2])
    assert [entry.data for entry in read_log("json-file", str(path), LogQuery())] == [b"one\n", b"three\n"]

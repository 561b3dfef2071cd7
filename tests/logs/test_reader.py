"""Reading back: tail, window, follow, rotation under the reader."""

import os
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.descriptors import open_descriptors
from wherry.errors import Unimplemented
from wherry.logs.driver import LogDriver, open_driver
from wherry.logs.entry import Entry, parse_timestamp
from wherry.logs.reader import Follow, LogQuery, read_log

DRIVERS = ("json-file", "local")


def write(driver: str, path: Path, lines: range, **options: Any) -> LogDriver:
    log = open_driver({"driver": driver, "path": str(path), **options})
    for number in lines:
        log.write("stderr" if number % 2 else "stdout", b"line %d\n" % number)
    return log


def numbers(entries: Iterator[Entry]) -> list[int]:
    return [int(entry.data.split()[1]) for entry in entries]


@pytest.mark.parametrize("driver", DRIVERS)
def test_everything_comes_back_in_order_with_its_stream(driver: str, tmp_path: Path) -> None:
    write(driver, tmp_path / "c.log", range(100))
    entries = list(read_log(driver, str(tmp_path / "c.log"), LogQuery()))
    assert [e.data for e in entries] == [b"line %d\n" % n for n in range(100)]
    assert [e.stream for e in entries] == ["stdout", "stderr"] * 50
    assert not entries[0].partial
    assert abs(entries[0].time_ns - time.time_ns()) < 60 * 10**9


@pytest.mark.parametrize("driver", DRIVERS)
@pytest.mark.parametrize("tail", [0, 1, 7, 150, 500, 1000])
def test_tail_counts_back_across_rotated_files(driver: str, tail: int, tmp_path: Path) -> None:
    write(driver, tmp_path / "c.log", range(500), max_size=4096, max_files=50)
    assert (tmp_path / "c.log.2").exists()
    found = numbers(read_log(driver, str(tmp_path / "c.log"), LogQuery(tail=tail)))
    assert found == list(range(500))[500 - min(tail, 500) :]


@pytest.mark.parametrize("driver", DRIVERS)
def test_a_window_of_time_is_respected(driver: str, tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    write(driver, path, range(3))
    time.sleep(0.01)
    since = time.time_ns()
    log = write(driver, path, range(3, 6))
    until = time.time_ns()
    time.sleep(0.01)
    log.write("stdout", b"line 6\n")
    assert numbers(read_log(driver, str(path), LogQuery(since_ns=since))) == [3, 4, 5, 6]
    assert numbers(read_log(driver, str(path), LogQuery(since_ns=since, until_ns=until))) == [3, 4, 5]


@pytest.mark.parametrize("driver", DRIVERS)
def test_r12_a_follower_loses_and_doubles_nothing_across_rotations(driver: str, tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    log = write(driver, path, range(10), max_size=20_000, max_files=50)
    ended = threading.Event()

    def produce() -> None:
        for number in range(10, 20_000, 10):
            log.write("stdout", b"".join(b"line %d\n" % n for n in range(number, number + 10)))
        ended.set()

    thread = threading.Thread(target=produce)
    follow = Follow(ended=ended.is_set, cancelled=lambda: False)
    reader = read_log(driver, str(path), LogQuery(), follow)
    first = [next(reader) for _ in range(10)]
    thread.start()
    rest = numbers(reader)
    thread.join()
    assert numbers(iter(first)) + rest == list(range(20_000))


def test_a_follower_waits_for_a_log_that_does_not_exist_yet(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    ended = threading.Event()

    def produce() -> None:
        time.sleep(0.1)
        write("json-file", path, range(3))
        ended.set()

    thread = threading.Thread(target=produce)
    thread.start()
    assert numbers(read_log("json-file", str(path), LogQuery(), Follow(ended.is_set, lambda: False))) == [0, 1, 2]
    thread.join()


def test_a_follower_sees_a_line_within_milliseconds(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    log = write("json-file", path, range(1))
    reader = read_log("json-file", str(path), LogQuery(), Follow(lambda: False, lambda: False))
    next(reader)
    timer = threading.Timer(0.05, lambda: log.write("stdout", b"line 1\n"))
    began = time.monotonic()
    timer.start()
    next(reader)
    assert time.monotonic() - began < 0.3
    timer.join()
    reader.close()  # type: ignore[attr-defined]


def test_r28_a_follower_that_is_closed_or_cancelled_leaves_no_descriptor(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    write("json-file", path, range(5))
    before = open_descriptors()
    for _ in range(300):
        reader = read_log("json-file", str(path), LogQuery(), Follow(lambda: False, lambda: False))
        next(reader)
        reader.close()  # type: ignore[attr-defined]
        gone = threading.Event()
        gone.set()
        assert len(numbers(read_log("json-file", str(path), LogQuery(), Follow(lambda: False, gone.is_set)))) == 5
    assert open_descriptors() <= before


def test_a_wake_descriptor_ends_the_wait_at_once(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    write("json-file", path, range(1))
    wake, gone = os.eventfd(0, os.EFD_NONBLOCK), threading.Event()
    follow = Follow(lambda: False, gone.is_set, wake_fds=(wake,))
    reader = read_log("json-file", str(path), LogQuery(), follow)
    next(reader)

    def cancel() -> None:
        gone.set()
        os.eventfd_write(wake, 1)

    threading.Timer(0.05, cancel).start()
    began = time.monotonic()
    assert list(reader) == []
    assert time.monotonic() - began < 0.3
    os.close(wake)


def test_a_log_of_one_emptied_file_can_be_followed(tmp_path: Path) -> None:
    path = tmp_path / "c.log"
    log = write("json-file", path, range(1), max_size=4096, max_files=1)
    ended = threading.Event()
    reader = read_log("json-file", str(path), LogQuery(), Follow(ended.is_set, lambda: False))
    assert numbers(iter([next(reader)])) == [0]
    seen = []
    for number in range(1, 400):
        log.write("stdout", b"line %d\n" % number)
        seen += numbers(iter([next(reader)]))
    ended.set()
    assert list(reader) == []
    assert seen == list(range(1, 400))


def test_a_driver_without_files_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(Unimplemented, match="configured logging driver does not support reading"):
        next(read_log("none", str(tmp_path / "c.log"), LogQuery()))


def test_times_have_nine_digits_for_people() -> None:
    assert Entry("2024-05-01T10:20:30.12Z", "stdout", b"").fixed_time == "2024-05-01T10:20:30.120000000Z"
    assert Entry("2024-05-01T10:20:30Z", "stdout", b"").fixed_time == "2024-05-01T10:20:30.000000000Z"
    assert parse_timestamp("1970-01-01T00:00:01.5Z") == 1_500_000_000
    with pytest.raises(ValueError):
        parse_timestamp("1970-01-01T00:00:01+02:00")


def test_a_log_that_goes_with_its_container_ends_its_follower(tmp_path: Path) -> None:
    directory = tmp_path / "container"
    directory.mkdir()
    write("json-file", directory / "c.log", range(3))
    removed = threading.Event()
    entries = read_log(
        "json-file", str(directory / "c.log"), LogQuery(), Follow(ended=removed.is_set, cancelled=lambda: False)
    )
    found = [next(entries).data for _ in range(3)]
    shutil.rmtree(directory)
    removed.set()
    assert list(entries) == []
    assert found == [b"line 0\n", b"line 1\n", b"line 2\n"]


def test_a_log_that_is_gone_before_it_is_followed_is_empty(tmp_path: Path) -> None:
    follow = Follow(ended=lambda: True, cancelled=lambda: False)
    assert list(read_log("json-file", str(tmp_path / "gone" / "c.log"), LogQuery(), follow)) == []

"""The events on disk."""

import os
import time
from pathlib import Path
from typing import Any

from wherry.events.bus import EventBus
from wherry.events.journal import Journal


def journal(path: Path, *, size: int = 1 << 20, age: float = 0.0) -> Journal:
    return Journal(str(path / "events"), max_size_bytes=size, max_age_seconds=age)


def names(events: Any) -> list[str]:
    return [event["Actor"]["ID"] for event in events]


def publish(bus: EventBus, *ids: str) -> None:
    for actor in ids:
        bus.publish("volume", "create", actor, {"driver": "local"})


def test_what_was_published_is_there_for_the_next_engine_in_its_order(tmp_path: Path) -> None:
    first = EventBus(journal(tmp_path))
    publish(first, "a", "b")
    second = EventBus(journal(tmp_path))  # the first was killed: nobody closed it
    publish(second, "c")
    events = list(second.history(0))
    assert names(events) == ["a", "b", "c"]
    times = [event["timeNano"] for event in events]
    assert times == sorted(set(times))
    assert names(second.history(times[1], times[1])) == ["b"]
    first.close()
    second.close()


def test_times_grow_although_the_clock_was_set_back(tmp_path: Path) -> None:
    first = EventBus(journal(tmp_path))
    future = time.time_ns() + 10**12
    first.publish("container", "die", "x", {}, told_ns=future)
    first.close()
    second = EventBus(journal(tmp_path))
    publish(second, "y")
    assert [event["timeNano"] for event in second.history(0)] == [future, future + 1]
    second.close()


def test_a_torn_tail_is_cut_off_and_a_broken_line_passed_over(tmp_path: Path) -> None:
    bus = EventBus(journal(tmp_path))
    publish(bus, "a", "b")
    bus.close()
    (segment,) = (tmp_path / "events").iterdir()
    whole = segment.read_bytes()
    for torn in (whole[:-5], whole + b'{"event":{"Ty', whole + b"\0" * 100):
        segment.write_bytes(torn)
        bus = EventBus(journal(tmp_path))
        publish(bus, "after")
        assert names(bus.history(0))[-1] == "after"
        assert names(bus.history(0))[0] == "a"
        bus.close()
    segment.write_bytes(whole + b"nonsense\n[]\n{}\n")
    bus = EventBus(journal(tmp_path))
    publish(bus, "c")
    assert names(bus.history(0)) == ["a", "b", "c"]
    bus.close()


def test_the_journal_stays_below_its_size_and_keeps_the_latest(tmp_path: Path) -> None:
    bound = 64 << 10
    bus = EventBus(journal(tmp_path, size=bound))
    publish(bus, *(str(number) for number in range(2000)))
    assert sum(path.stat().st_size for path in (tmp_path / "events").iterdir()) <= bound
    kept = names(bus.history(0))
    assert kept == [str(number) for number in range(2000 - len(kept), 2000)]
    assert len(kept) > 100
    bus.close()


def test_segments_older_than_the_age_are_deleted(tmp_path: Path) -> None:
    bus = EventBus(journal(tmp_path, age=0.08))
    publish(bus, "old")
    time.sleep(0.1)
    publish(bus, "between")
    time.sleep(0.1)
    publish(bus, "new")
    assert names(bus.history(0))[-1] == "new"
    assert "old" not in names(bus.history(0))
    bus.close()


def test_a_full_disk_loses_events_and_nothing_else(tmp_path: Path) -> None:
    written = journal(tmp_path)
    bus = EventBus(written)
    publish(bus, "a")
    read_only = os.open(next((tmp_path / "events").iterdir()), os.O_RDONLY)
    os.dup2(read_only, written._fd)
    os.close(read_only)
    with bus.subscribe() as subscription:
        publish(bus, "b")
        assert subscription.get(1) is not None
    bus.close()
    assert names(journal(tmp_path).read(0)) == ["a"]


def test_what_a_monitor_told_is_known_to_the_next_engine(tmp_path: Path) -> None:
    first = EventBus(journal(tmp_path))
    now = time.time_ns()
    first.publish("container", "die", "x", {}, told_ns=now)
    first.close()
    second = EventBus(journal(tmp_path))
    assert second.was_told("x", now)
    assert not second.was_told("x", now + 1)
    assert not second.was_told("y", now)  # may have been under way when the first was killed
    assert second.was_told("y", now - 10**11)
    second.close()

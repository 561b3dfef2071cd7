"""Events to subscribers."""

import threading
from pathlib import Path

import pytest

from wherry.events.bus import QUEUE_LIMIT, EventBus, SubscriptionOverflow
from wherry.events.journal import Journal


def test_an_event_has_dockers_fields() -> None:
    bus = EventBus()
    with bus.subscribe() as subscription:
        bus.publish("container", "start", "abc", {"image": "busybox", "name": "x"})
        event = subscription.get(1)
    assert event is not None
    assert (event["Type"], event["Action"], event["scope"]) == ("container", "start", "local")
    assert event["Actor"] == {"ID": "abc", "Attributes": {"image": "busybox", "name": "x"}}
    assert (event["status"], event["id"], event["from"]) == ("start", "abc", "busybox")
    assert event["timeNano"] // 10**9 == event["time"]


def test_events_are_in_order_and_times_strictly_grow(tmp_path: Path) -> None:
    bus = EventBus(Journal(str(tmp_path), max_size_bytes=1 << 20, max_age_seconds=0))
    for number in range(100):
        bus.publish("volume", "create", str(number), {})
    times = [event["timeNano"] for event in bus.history(0)]
    assert times == sorted(set(times))
    assert [event["Actor"]["ID"] for event in bus.history(times[50], times[52])] == ["50", "51", "52"]
    bus.close()


def test_r30_a_reader_that_does_not_read_is_cut_off_and_costs_nothing() -> None:
    bus = EventBus()
    stopped, reading = bus.subscribe(), bus.subscribe()
    for number in range(QUEUE_LIMIT + 10):
        bus.publish("volume", "create", str(number), {})
        assert reading.get(0) is not None
    assert bus.subscriber_count == 1
    for _ in range(QUEUE_LIMIT):
        assert stopped.get(0) is not None
    with pytest.raises(SubscriptionOverflow):
        stopped.get(0)


def test_close_wakes_a_waiting_reader() -> None:
    bus = EventBus()
    subscription = bus.subscribe()
    threading.Timer(0.05, subscription.close).start()
    assert subscription.get(5) is None
    assert bus.subscriber_count == 0

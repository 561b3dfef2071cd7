"""Locks by key."""

import threading
import time

from wherry.metadata.locks import KeyedLocks


def test_one_key_excludes_and_another_does_not() -> None:
    locks = KeyedLocks()
    order: list[str] = []

    def other_key() -> None:
        with locks.hold("b"):
            order.append("b")

    def same_key() -> None:
        with locks.hold("a"):
            order.append("a again")

    with locks.hold("a"):
        threads = [threading.Thread(target=other_key), threading.Thread(target=same_key)]
        for thread in threads:
            thread.start()
        threads[0].join(5)
        time.sleep(0.05)
        order.append("a")
    threads[1].join(5)
    assert order == ["b", "a", "a again"]


def test_nothing_is_remembered_of_a_key_that_nobody_holds() -> None:
    locks = KeyedLocks()
    for number in range(100):
        with locks.hold(str(number)):
            pass
    assert locks._entries == {}

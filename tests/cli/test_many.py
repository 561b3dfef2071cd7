"""Verbs on several targets at once."""

import threading

import pytest

from wherry.cli.app import App
from wherry.cli.errors import CommandFailed
from wherry.cli.many import for_each_at_once
from wherry.errors import NotFound


def test_slow_verbs_work_on_all_targets_together_and_report_in_order(capfd: pytest.CaptureFixture[str]) -> None:
    together = threading.Barrier(3, timeout=5)

    def act(target: str) -> None:
        together.wait()  # passes only when all three are under way
        if target == "b":
            raise NotFound("No such container: b")

    with pytest.raises(CommandFailed, match="No such container: b"):
        for_each_at_once(App(), ["a", "b", "c"], act)
    assert capfd.readouterr().out == "a\nc\n"


def test_a_mistake_of_our_own_is_not_taken_for_a_refusal() -> None:
    def act(target: str) -> None:
        raise ZeroDivisionError(target)

    with pytest.raises(ZeroDivisionError):
        for_each_at_once(App(), ["a", "b"], act)

"""Create, start, exit, and what is left: nothing."""

import pytest

from tests.monitor.conftest import Machine

pytestmark = pytest.mark.privileged


def test_output_goes_to_the_log_and_the_exit_code_comes_back(machine: Machine) -> None:
    box = machine.shell("echo out; echo err >&2; exit 3")
    status = box.wait_exit()
    assert status["code"] == 3
    assert not status["restarting"]
    assert {(r["stream"], r["log"]) for r in box.log()} == {("stdout", "out\n"), ("stderr", "err\n")}

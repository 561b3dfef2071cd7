"""Who attaches before the start sees every byte, however slow the engine is between its answer and its next step."""

import subprocess

import pytest

from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(60)]


def test_output_is_not_lost_when_the_start_comes_right_after_the_answer_to_attach(
    fresh_engine: EngineUnderTest,
) -> None:
    engine = fresh_engine
    engine.wherry("run", "--rm", "busybox", "true")
    tracer = subprocess.Popen(
        ["strace", "-f", "-p", str(engine.engine_pid()), "-o", "/dev/null",
         "-e", "trace=sendto", "-e", "inject=sendto:delay_exit=150000"],
        stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert tracer.stderr is not None and "attached" in tracer.stderr.readline()
    try:
        for run in (engine.wherry, engine.docker):
            assert run("run", "--rm", "busybox", "echo", "all of it").stdout == "all of it\n"
    finally:
        tracer.terminate()
        tracer.communicate(timeout=10)

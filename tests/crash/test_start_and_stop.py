"""Many commands at once on a cold machine, and the engine told to stop in the midst of them."""

import os
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import pytest

from tests.crash.conftest import assert_nothing_left, parent_of
from tests.crash.consistency import assert_consistent, monitors
from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(100)]


def engines_of(engine: EngineUnderTest) -> list[int]:
    """Pids of every engine process with these roots."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue  # it ended while we looked
        if b"wherry.api" in command and f"WHERRY_RUN_ROOT={engine.run_root}\0".encode() in environment:
            found.append(int(pid))
    return found


def test_r10_commands_at_once_on_a_cold_machine_start_one_engine() -> None:
    engine = EngineUnderTest(Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp")), {})
    try:
        for turn in range(3):
            commands = [engine.start("ps", "-aq") for _ in range(10)]
            outcomes = [(c.communicate(timeout=30), c.returncode) for c in commands]
            assert outcomes == [((b"", b""), 0)] * 10
            (running,) = engines_of(engine)
            if turn == 0:
                engine.wherry("system", "stop")
            else:  # sockets and locks of a dead zygote lie about
                os.kill(parent_of(running), signal.SIGKILL)
                os.kill(running, signal.SIGKILL)
    finally:
        engine.wherry("system", "stop", check=False)
    assert_nothing_left(engine)
    subprocess.run(["rm", "-rf", str(engine.root)], check=True)


def test_the_engine_is_stopped_while_commands_run(fresh_engine: EngineUnderTest) -> None:
    engine = fresh_engine
    engine.wherry("run", "-d", "--name", "steady", "busybox", "sleep", "1000")
    until = time.monotonic() + 5
    wrong: list[str] = []
    succeeded: list[int] = []

    def worker(number: int) -> None:
        while time.monotonic() < until:
            done = engine.wherry("run", "--rm", "busybox", "sh", "-c", f"exit {number + 10}", check=False)
            if done.returncode == number + 10:
                succeeded.append(1)
            # Cut off is allowed, and said; a wrong code, silence or a traceback is not.
            elif done.returncode != 125 or not done.stderr or "Traceback" in done.stderr:
                wrong.append(f"{done.returncode} {done.stdout!r} {done.stderr!r}")

    threads = [threading.Thread(target=worker, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until - 0.5:
        time.sleep(0.7)
        engine.wherry("system", "stop")
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(succeeded) > 10
    created = engine.wherry("ps", "-aq", "--filter", "status=created").stdout.split()
    if created:  # made by a command that was cut off before its start
        engine.wherry("rm", *created)
    assert engine.wherry("ps", "-a", "--format", "{{.Names}}").stdout == "steady\n"
    assert_consistent(engine)
    assert len(monitors(engine)) == 1
    assert "Traceback" not in engine.log()

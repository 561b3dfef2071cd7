"""SIGKILL for the engine in the middle of a command: at one system call of one of its threads, by strace.

strace counts every call of every thread for itself: a step is "the third rename of a thread". ``steps`` runs a command
once and lists them in the order in which they come; ``killed_at`` has the engine die at one. (Not with
``--seccomp-bpf``: strace 6.1 injects nothing then.)
"""

import os
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from tests.crash.conftest import alive
from tests.engine_under_test import EngineUnderTest

# Calls that change something outside the process: files, mounts, links, rules, messages to zygote, monitors, clients.
_CHANGES = (
    "mkdir,mkdirat,rename,renameat,renameat2,symlink,symlinkat,link,linkat,unlink,unlinkat,rmdir,fsync,fdatasync,syncfs,"
    "pwrite64,sendmsg,sendto,mount,umount2,bind,listen,openat2,memfd_create,chown,fchown,fchmod,ftruncate"
)
_SETTLE_SECONDS = 0.1


class Step(NamedTuple):
    """The ``nth`` ``call`` of a thread, counted from 1."""

    call: str
    nth: int


def steps(engine: EngineUnderTest, command: Callable[[], object], most: int) -> list[Step]:
    """The steps of a command that is run for this; at most so many, evenly spread."""
    with tempfile.NamedTemporaryFile("r", prefix="wh-trace-") as trace:
        with _traced(engine, "-o", trace.name, "-e", f"trace={_CHANGES}"):
            command()
            time.sleep(_SETTLE_SECONDS)  # what the answer does not wait for belongs to it
        counts: Counter[tuple[str, str]] = Counter()
        found: list[Step] = []
        for line in trace:
            thread, _, rest = line.strip().partition(" ")
            call, bracket, _ = rest.strip().partition("(")
            if not bracket or not call.isidentifier():
                continue  # a signal, an exit, the second half of a call
            counts[thread, call] += 1
            step = Step(call, counts[thread, call])
            if step not in found:  # a later thread never gets there: the engine is dead by then
                found.append(step)
    return found[:: -(-len(found) // most)]


@contextmanager
def killed_at(engine: EngineUnderTest, step: Step) -> Iterator[int]:
    """During the block the engine dies at ``step``; gives its pid."""
    with _traced(
        engine, "-o", "/dev/null", "-e", f"trace={step.call}", "-e",
        f"inject={step.call}:signal=SIGKILL:when={step.nth}",
    ) as pid:  # fmt: skip
        yield pid


@contextmanager
def _traced(engine: EngineUnderTest, *options: str) -> Iterator[int]:
    pid = engine.engine_pid()
    assert pid, "no engine runs"
    tracer = subprocess.Popen(["strace", "-f", "-p", str(pid), *options], stderr=subprocess.PIPE, text=True)
    assert tracer.stderr is not None
    said = tracer.stderr.readline()
    assert "attached" in said, said
    over = threading.Event()
    watcher = threading.Thread(target=_let_go, args=(pid, tracer, over))
    watcher.start()
    try:
        yield pid
    finally:
        over.set()
        watcher.join()
        # SIGKILL, to which the kernel answers by letting the tracees run on. At SIGTERM strace stops each thread first,
        # and waits for ever for one that a SIGKILL has taken; each line is in its file already.
        tracer.kill()
        tracer.communicate(timeout=10)


def _let_go(pid: int, tracer: subprocess.Popen[str], over: threading.Event) -> None:
    """End strace once the engine is dead: it sometimes waits for threads that it has missed, and a zombie with a tracer
    is not reported to its parent."""
    while not over.wait(0.01):
        if not alive(pid):
            tracer.kill()
            return


def kill(engine: EngineUnderTest) -> int:
    """SIGKILL now; the pid that was."""
    pid = engine.engine_pid()
    os.kill(pid, 9)
    wait_gone(pid)
    return pid


def wait_gone(pid: int, seconds: float = 5.0) -> None:
    """Wait for a process's end."""
    deadline = time.monotonic() + seconds
    while alive(pid):
        assert time.monotonic() < deadline, f"process {pid} does not end"
        time.sleep(0.005)

"""Engines to be killed. Their leftovers are looked for by their own names, so that others may run beside them."""

import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.crash.consistency import leftovers
from tests.engine_under_test import EngineUnderTest

_SETTLE_SECONDS = 10.0


def _make(busybox_tar: Path, settings: dict[str, object]) -> EngineUnderTest:
    engine = EngineUnderTest(Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp")), settings)
    engine.import_busybox(busybox_tar)
    return engine


def _end(engine: EngineUnderTest) -> None:
    try:
        engine.stop()
        assert_nothing_left(engine)
    finally:
        engine.wherry("system", "stop", check=False)
        shutil.rmtree(engine.root, ignore_errors=True)


@pytest.fixture
def make_engine(busybox_tar: Path) -> Iterator[Callable[..., EngineUnderTest]]:
    """Makes engines with given daemon.json settings and the image ``busybox``; stopped and looked after at the end."""
    engines: list[EngineUnderTest] = []

    def make(settings: dict[str, object] | None = None) -> EngineUnderTest:
        engines.append(_make(busybox_tar, settings or {}))
        return engines[-1]

    yield make
    for engine in engines:
        _end(engine)


@pytest.fixture(scope="module")
def shared_engine(busybox_tar: Path) -> Iterator[EngineUnderTest]:
    """One for a module's tests; it speaks plain HTTP to registries on this host."""
    engine = _make(busybox_tar, {"insecure-registries": ["127.0.0.0/8"]})
    yield engine
    _end(engine)


@pytest.fixture
def fresh_engine(make_engine: Callable[..., EngineUnderTest]) -> EngineUnderTest:
    """One with default settings."""
    return make_engine()


def assert_nothing_left(engine: EngineUnderTest) -> None:
    """Fail with what is still there in the engine's names a while after its end."""
    deadline = time.monotonic() + _SETTLE_SECONDS
    while found := leftovers(engine):
        assert time.monotonic() < deadline, "left behind: " + ", ".join(found) + "\n" + engine.log()[-3000:]
        time.sleep(0.05)


def configure(engine: EngineUnderTest, settings: dict[str, object]) -> None:
    """Settings for the next engine process."""
    Path(engine.environment["WHERRY_CONFIG"]).write_text(json.dumps(settings), encoding="utf-8")


def eventually(condition: Callable[[], object], what: str | Callable[[], str], seconds: float = 5.0) -> None:
    """Wait until ``condition`` holds; fail after ``seconds``."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"{what if isinstance(what, str) else what()}: not within {seconds:g} s")
        time.sleep(0.02)


def parent_of(pid: int) -> int:
    """The parent's pid: of a container's init that is its monitor."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:"))


def alive(pid: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def descriptors(pid: int) -> int:
    """How many descriptors a process has open."""
    return len(os.listdir(f"/proc/{pid}/fd"))

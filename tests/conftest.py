"""Fixtures that every folder of tests shares: a whole engine of one's own, and what the host looks like.

An engine here is real: its own data and run root, its own bridge and firewall table, started by the first
command like any user's. The fixture stops it, and fails the test if it left anything behind.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest
from tests.host_state import HostState
from wherry.linux import features

IN_CI = bool(os.environ.get("CI"))


def pytest_report_header() -> list[str]:
    """On what the suite runs and, by name, which kernel features it probed and uses; a report without is half one."""
    controllers = "v2" if os.path.exists("/sys/fs/cgroup/cgroup.controllers") else "v1"
    if controllers == "v1" and os.path.exists("/sys/fs/cgroup/unified"):
        controllers = "v1 hybrid"
    found = features.report()
    return [
        f"wherry: uid {os.getuid()}, kernel {os.uname().release}, cgroup {controllers}",
        "kernel features used: " + ", ".join(name for name, there in found.items() if there),
        "kernel features missing: " + (", ".join(name for name, there in found.items() if not there) or "none"),
    ]


@pytest.fixture(autouse=True)
def privileged_needs_root(request: pytest.FixtureRequest) -> None:
    """A privileged test without root is a failure in CI and a skip on a developer's desk."""
    if request.node.get_closest_marker("privileged") is None or os.geteuid() == 0:
        return
    if IN_CI:
        pytest.fail("this test needs root, and CI promises it")
    pytest.skip("needs root")


@pytest.fixture(scope="session")
def busybox_tar(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root file system made from Debian's busybox-static, as a tar."""
    path = tmp_path_factory.mktemp("busybox") / "busybox.tar"
    with path.open("wb") as file:
        subprocess.run([sys.executable, "-m", "wherry.images.bootstrap"], stdout=file, check=True, timeout=120)
    return path


@pytest.fixture
def host_state() -> Callable[[], HostState]:
    """Oracle M: what the host holds of mounts, namespaces, links, rules, cgroups and our processes."""
    return HostState.capture


def _engine(busybox_tar: Path, settings: dict[str, object] | None = None) -> EngineUnderTest:
    # A unix socket path holds 107 bytes: pytest's own temporary directories are too deep.
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    engine = EngineUnderTest(root, settings or {})
    engine.import_busybox(busybox_tar)
    return engine


@pytest.fixture
def make_engine(busybox_tar: Path) -> Iterator[Callable[..., EngineUnderTest]]:
    """Makes engines with given daemon.json settings; all are stopped and checked at the end."""
    before = HostState.capture()
    engines: list[EngineUnderTest] = []

    def make(settings: dict[str, object] | None = None) -> EngineUnderTest:
        engines.append(_engine(busybox_tar, settings))
        return engines[-1]

    yield make
    for engine in engines:
        _stop(engine)
    before.assert_same_as_now()


@pytest.fixture
def fresh_engine(make_engine: Callable[..., EngineUnderTest]) -> EngineUnderTest:
    """An engine for this test alone, for tests that kill it or look at everything it leaves."""
    return make_engine()


@pytest.fixture(scope="module")
def engine(busybox_tar: Path) -> Iterator[EngineUnderTest]:
    """An engine that a module's tests share, with the image ``busybox``."""
    before = HostState.capture()
    engine = _engine(busybox_tar)
    yield engine
    _stop(engine)
    before.assert_same_as_now()


def _stop(engine: EngineUnderTest) -> None:
    try:
        engine.stop()
    finally:
        shutil.rmtree(engine.root, ignore_errors=True)

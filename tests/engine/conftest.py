"""An engine of one's own whose leftovers are looked for by its own names, so that other engines may run beside it."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest
from wherry.settings import Settings

_SETTLE_SECONDS = 10.0


@pytest.fixture
def fresh_engine(busybox_tar: Path) -> Iterator[EngineUnderTest]:
    """A whole engine with the image ``busybox``; stopped and looked after at the end."""
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    engine = EngineUnderTest(root, {})
    try:
        engine.import_busybox(busybox_tar)
        yield engine
        engine.stop()
        _assert_nothing_left(engine)
    finally:
        engine.wherry("system", "stop", check=False)
        shutil.rmtree(root, ignore_errors=True)


def _assert_nothing_left(engine: EngineUnderTest) -> None:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while found := _leftovers(engine):
        assert time.monotonic() < deadline, "left behind: " + ", ".join(found) + "\n" + engine.log()[-3000:]
        time.sleep(0.05)


def _leftovers(engine: EngineUnderTest) -> list[str]:
    settings = Settings(data_root=str(engine.data_root), run_root=str(engine.run_root))
    found = []
    for hierarchy in os.scandir("/sys/fs/cgroup"):
        path = hierarchy.path + settings.cgroup_root
        if hierarchy.is_dir() and os.path.exists(path):
            found.append(f"cgroup {path}")
    if os.path.exists(f"/sys/class/net/{settings.bridge_name}"):
        found.append(f"bridge {settings.bridge_name}")
    tables = subprocess.run(["nft", "list", "tables"], capture_output=True, text=True, check=True, timeout=20).stdout
    if settings.firewall_table in tables.split():
        found.append(f"firewall table {settings.firewall_table}")
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
    if str(engine.root) in mounts:
        found.append("mounts")
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            environment = Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            continue  # it ended while we looked
        if f"WHERRY_RUN_ROOT={engine.run_root}".encode() in environment:
            found.append(f"process {pid}")
    if os.path.isdir(engine.run_root / "containers"):
        found += [f"run dir {name}" for name in os.listdir(engine.run_root / "containers")]
    if os.path.isdir(engine.data_root / "containers"):
        found += [f"data dir {name}" for name in os.listdir(engine.data_root / "containers") if name != ".trash"]
    return found

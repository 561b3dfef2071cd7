"""R06: a disk that is full. Every command ends with a clear error, and the space comes back."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.crash.consistency import assert_consistent
from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(100)]

_NO_SPACE = "No space left on device"


@pytest.fixture
def small(busybox_tar: Path) -> Iterator[EngineUnderTest]:
    """An engine whose data root is a file system of 24 MiB."""
    with tempfile.TemporaryDirectory(prefix="wh-", dir="/tmp") as root:
        engine = EngineUnderTest(Path(root), {})
        engine.data_root.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", engine.data_root], check=True)
        try:
            engine.import_busybox(busybox_tar)
            yield engine
            engine.stop()
        finally:
            engine.wherry("system", "stop", check=False)
            subprocess.run(["umount", engine.data_root], check=True)


def free_bytes(engine: EngineUnderTest) -> int:
    status = os.statvfs(engine.data_root)
    return status.f_bavail * status.f_bsize


def fill(engine: EngineUnderTest) -> Path:
    """Take every byte that is left."""
    path = engine.data_root / "somebody-elses"
    with path.open("wb", buffering=0) as file:
        try:
            while file.write(bytes(65536)):
                pass
        except OSError:
            pass  # full, which was the point
    return path


def test_r06_a_container_that_fills_the_disk_is_removed_with_it(small: EngineUnderTest) -> None:
    before = free_bytes(small)
    done = small.wherry("run", "--rm", "busybox", "dd", "if=/dev/zero", "of=/big", "bs=1M", "count=40", check=False)
    assert _NO_SPACE in done.stderr
    assert done.returncode == 1
    assert small.wherry("ps", "-aq").stdout == ""
    assert free_bytes(small) > before - (2 << 20)
    assert small.wherry("run", "--rm", "busybox", "echo", "again").stdout == "again\n"
    assert_consistent(small)


def test_r06_an_image_that_does_not_fit_is_refused_and_gone(small: EngineUnderTest, tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(30 << 20))
    subprocess.run(["tar", "-C", tmp_path, "-cf", tmp_path / "big.tar", "big"], check=True)
    before = free_bytes(small)
    done = small.wherry("import", str(tmp_path / "big.tar"), "big", check=False)
    assert (done.returncode, _NO_SPACE in done.stderr) == (1, True)
    assert small.wherry("images", "-q").stdout.count("\n") == 1
    assert free_bytes(small) > before - (1 << 20)


def test_r06_with_no_byte_left_each_verb_says_so_and_nothing_is_lost(small: EngineUnderTest) -> None:
    small.wherry("run", "-d", "--name", "lives", "busybox", "sleep", "1000")
    filler = fill(small)
    for command in (["run", "--rm", "busybox", "true"], ["create", "busybox"], ["volume", "create", "full"]):
        done = small.wherry(*command, check=False)
        assert done.returncode, command
        assert _NO_SPACE in done.stderr, done.stderr
        assert "Traceback" not in done.stderr
    assert small.wherry("ps", "--format", "{{.Names}}").stdout == "lives\n"
    assert small.wherry("exec", "lives", "echo", "here").stdout == "here\n"
    filler.unlink()
    assert small.wherry("run", "--rm", "busybox", "echo", "again").stdout == "again\n"
    small.wherry("rm", "-f", "lives")
    assert small.wherry("ps", "-aq").stdout == ""
    assert_consistent(small)

"""Fixtures of the runtime tests: they need root and real namespaces."""

import os
import subprocess
from collections.abc import Iterator

import pytest

from tests.runtime.container import Runner, make_rootfs


@pytest.fixture(scope="session")
def busybox_rootfs(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Made once; a test that writes gets a copy (:func:`runner`)."""
    path = str(tmp_path_factory.mktemp("rootfs") / "rootfs")
    make_rootfs(path)
    return path


@pytest.fixture
def runner(tmp_path: object, busybox_rootfs: str) -> Iterator[Runner]:
    """Containers on a bundle of the test's own."""
    bundle = f"{tmp_path}/bundle"
    os.mkdir(bundle)
    subprocess.run(["cp", "-a", busybox_rootfs, f"{bundle}/rootfs"], check=True)
    made = Runner(bundle)
    yield made
    made.close()

"""A whole engine that the integration tests of this folder share."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.engine_under_test import EngineUnderTest


@pytest.fixture(scope="module")
def engine(busybox_tar: Path) -> Iterator[EngineUnderTest]:
    """An engine with the image ``busybox``."""
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    engine = EngineUnderTest(root, {})
    try:
        engine.import_busybox(busybox_tar)
        yield engine
    finally:
        engine.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def client(engine: EngineUnderTest) -> Iterator[docker.DockerClient]:
    """docker-py on the engine's socket; every container of the test is removed at its end."""
    engine.wherry("ps")
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", timeout=60)
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    client.close()

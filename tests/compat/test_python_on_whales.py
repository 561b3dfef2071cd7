"""python-on-whales, which drives the docker CLI: a container's life and what goes with it."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from python_on_whales import DockerClient
from python_on_whales.exceptions import DockerException, NoSuchContainer, NoSuchVolume

from tests.engine_under_test import EngineUnderTest

pytestmark = [pytest.mark.privileged, pytest.mark.peer]


@pytest.fixture
def whales(engine: EngineUnderTest) -> Iterator[DockerClient]:
    """As its users make it for another host; the test's containers go at its end."""
    engine.wherry("ps")
    client = DockerClient(host=f"unix://{engine.socket}")
    yield client
    for container in client.container.list(all=True):
        with contextlib.suppress(NoSuchContainer):
            container.remove(force=True, volumes=True)
    assert "Traceback" not in engine.log(), engine.log()


def test_a_containers_life(whales: DockerClient) -> None:
    assert whales.run("busybox", ["echo", "hello"], remove=True) == "hello"
    container = whales.run(
        "busybox", ["sleep", "60"], detach=True, name="whale", labels={"tier": "test"}, envs={"A": "b"},
        publish=[(0, 80)], restart="on-failure:2", memory="64m",
    )  # fmt: skip
    assert container.state.running and container.name == "whale"
    assert (container.config.labels or {})["tier"] == "test" and "A=b" in (container.config.env or [])
    policy = container.host_config.restart_policy
    assert policy is not None and policy.maximum_retry_count == 2
    assert [found.id for found in whales.container.list(filters=[("label", "tier=test")])] == [container.id]
    assert whales.execute(container, ["sh", "-c", "echo $A"]) == "b"
    with pytest.raises(DockerException, match="returned with code 3"):
        whales.execute(container, ["sh", "-c", "exit 3"])
    container.pause()
    assert whales.container.inspect("whale").state.paused
    container.unpause()
    container.rename("renamed")
    whales.container.update("renamed", memory=32 << 20, memory_swap=32 << 20)
    assert whales.container.inspect("renamed").host_config.memory == 32 << 20
    assert len(whales.container.stats(["renamed"])) == 1
    container.kill()
    assert whales.container.wait("renamed") == 137
    container.remove()
    with pytest.raises(NoSuchContainer):
        whales.container.inspect("renamed")


def test_files_logs_and_images(whales: DockerClient, tmp_path: Path) -> None:
    source = tmp_path / "here"
    source.write_text("from the host")
    container = whales.create("busybox", ["sh", "-c", "cat /there; echo made > /out; echo end >&2"])
    whales.copy(source, (container, "/there"))
    container.start()
    whales.wait(container)
    logged = sorted(whales.logs(container, stream=True))
    assert logged == [("stderr", b"end\n"), ("stdout", b"from the host")]
    whales.copy((container, "/out"), tmp_path / "out")
    assert (tmp_path / "out").read_text() == "made\n"
    assert {"/out", "/there"} <= set(whales.diff(container))
    image = whales.commit(container, tag="whales:1")
    assert "whales:1" in image.repo_tags
    whales.save("whales:1", output=tmp_path / "image.tar")
    whales.image.remove("whales:1", force=True)
    assert whales.load(tmp_path / "image.tar") == ["whales:1"]
    assert whales.run("whales:1", ["cat", "/out"], remove=True) == "made"
    container.remove()
    whales.image.remove("whales:1")


def test_volumes_and_the_system(whales: DockerClient) -> None:
    volume = whales.volume.create("kept", labels={"a": "b"})
    whales.run("busybox", ["sh", "-c", "echo x > /v/f"], volumes=[(volume, "/v")], remove=True)
    assert whales.run("busybox", ["cat", "/v/f"], volumes=[("kept", "/v", "ro")], remove=True) == "x"
    assert [found.name for found in whales.volume.list(filters=[("label", "a=b")])] == ["kept"]
    volume.remove()
    with pytest.raises(NoSuchVolume):
        whales.volume.inspect("kept")
    assert "bridge" in [network.name for network in whales.network.list()]
    assert whales.system.info().server_version
    assert whales.system.disk_free().images.total_count
    whales.run("busybox", ["true"], name="over")
    whales.container.prune()
    assert whales.container.list(all=True) == []

"""The real docker CLI on the images of a whole engine."""

import json
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest
from tests.images.image_builder import simple_image
from tests.registry.fake_registry import FakeRegistry

pytestmark = [pytest.mark.privileged, pytest.mark.peer]


def test_docker_pulls_lists_tags_and_removes(engine: EngineUnderTest, registry: FakeRegistry) -> None:
    image = simple_image("cli")
    digest = image.push(registry.repository("team/app"), "v1")
    name = f"{registry.host}/team/app:v1"
    out = engine.docker("pull", name).stdout
    assert f"Digest: {digest}" in out
    assert f"Status: Downloaded newer image for {name}" in out
    assert "Pull complete" in out
    assert "Image is up to date" in engine.docker("pull", name).stdout
    engine.docker("tag", name, "mine:v2")
    listed = engine.docker("images", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "--no-trunc").stdout.split("\n")
    assert f"mine:v2 {image.id}" in listed
    assert f"{name} {image.id}" in listed
    assert engine.docker("images", "-q", "--digests", "--no-trunc", "mine").stdout.strip() == image.id
    (found,) = json.loads(engine.docker("inspect", "mine:v2").stdout)
    assert found["RepoDigests"] == [f"{registry.host}/team/app@{digest}"]
    assert "step 1" in engine.docker("history", "mine:v2").stdout
    removed = engine.docker("rmi", "mine:v2", name).stdout.splitlines()
    assert removed[0] == "Untagged: mine:v2"
    assert f"Deleted: {image.id}" in removed


def test_docker_saves_and_loads(engine: EngineUnderTest, tmp_path: Path) -> None:
    archive = tmp_path / "busybox.tar"
    engine.docker("tag", "busybox", "saved:v1")
    engine.docker("save", "-o", str(archive), "saved:v1")
    engine.docker("rmi", "saved:v1")
    assert engine.docker("load", "-i", str(archive)).stdout.strip().endswith("Loaded image: saved:v1")
    engine.docker("rmi", "saved:v1")


def test_docker_imports_with_changes(engine: EngineUnderTest, busybox_tar: Path) -> None:
    imported = engine.docker("import", "-c", 'CMD ["true"]', str(busybox_tar), "imported:v1").stdout.strip()
    (found,) = json.loads(engine.docker("inspect", "imported:v1").stdout)
    assert (found["Id"], found["Config"]["Cmd"]) == (imported, ["true"])
    engine.docker("rmi", "imported:v1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["rmi", "nope"], "Error response from daemon: No such image: nope:latest"),
        (["pull", "UPPER"], "invalid reference format: repository name (library/UPPER) must be lowercase"),
        (["tag", "busybox", "a:b:c"], "is not a valid repository/tag"),
        (["load", "-i", "/etc/hostname"], "unexpected EOF"),
    ],
)
def test_docker_shows_its_own_messages(engine: EngineUnderTest, arguments: list[str], message: str) -> None:
    done = engine.docker(*arguments, check=False)
    assert done.returncode != 0
    assert message in done.stderr + done.stdout


def test_docker_refuses_to_remove_a_used_image(engine: EngineUnderTest) -> None:
    container = engine.docker("create", "busybox", "true").stdout.strip()
    done = engine.docker("rmi", "busybox", check=False)
    assert done.returncode == 1
    assert f"(must force) - container {container[:12]} is using its referenced image" in done.stderr
    engine.docker("rm", container)

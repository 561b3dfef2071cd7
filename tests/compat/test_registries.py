"""Docker's clients at registries through our engine: all tags, search, login, and the tree of images."""

from collections.abc import Iterator

import docker
import pytest

from tests.compat.conftest import DockerCli
from tests.registry.fake_registry import FakeRegistry

pytestmark = [pytest.mark.privileged, pytest.mark.peer]


@pytest.fixture
def searchable() -> Iterator[FakeRegistry]:
    with FakeRegistry(basic=("me", "pw")) as fake:
        found = {"name": "me/app", "description": "an app", "star_count": 4, "is_official": True}
        fake.search = {"results": [found, {"name": "me/other", "star_count": 1}]}
        yield fake


def test_docker_pulls_all_tags(cli: DockerCli, registry: str) -> None:
    name = f"{registry}/all"
    for tag in ("a", "b", "c"):
        cli("tag", "busybox", f"{name}:{tag}")
    cli("push", "-a", name)
    cli("rmi", *(f"{name}:{tag}" for tag in "abc"))
    shown = cli.out("pull", "-a", name).splitlines()
    assert shown[-2:] == [f"Status: Downloaded newer image for {name}", name]
    assert sorted(cli.out("images", "--format", "{{.Tag}}", name).split()) == ["a", "b", "c"]
    digest = cli.out("inspect", "-f", "{{index .RepoDigests 0}}", f"{name}:a")
    cli("rmi", *(f"{name}:{tag}" for tag in "abc"))
    assert f"Digest: {digest.partition('@')[2]}" in cli.out("pull", digest)
    cli("rmi", digest)


def test_docker_py_pulls_all_tags(sdk: docker.DockerClient, registry: str) -> None:
    image = sdk.images.get("busybox")
    for tag in ("a", "b"):
        image.tag(f"{registry}/py-all", tag=tag)
        sdk.images.push(f"{registry}/py-all", tag=tag)
        sdk.images.remove(f"{registry}/py-all:{tag}")
    pulled = sdk.images.pull(f"{registry}/py-all", all_tags=True)
    assert {tag for found in pulled for tag in found.tags} >= {f"{registry}/py-all:a", f"{registry}/py-all:b"}
    for tag in ("a", "b"):
        sdk.images.remove(f"{registry}/py-all:{tag}")


def test_docker_logs_in_and_searches(cli: DockerCli, searchable: FakeRegistry) -> None:
    host = searchable.host
    assert cli("search", f"{host}/x", check=False).returncode == 1
    assert "Login Succeeded" in cli.out("login", "-u", "me", "--password-stdin", host, stdin=b"pw")
    rows = cli.out("search", "--format", "{{.Name}} {{.Description}} {{.StarCount}} {{.IsOfficial}}", f"{host}/x")
    assert rows.splitlines() == ["me/app an app 4 [OK]", "me/other  1 "]
    assert cli.out("search", "-f", "stars=2", "--format", "{{.Name}}", f"{host}/x") == "me/app"
    assert "Removing login credentials" in cli.out("logout", host)


def test_docker_py_logs_in_and_searches(sdk: docker.DockerClient, searchable: FakeRegistry) -> None:
    assert sdk.login("me", "pw", registry=searchable.host)["Status"] == "Login Succeeded"
    with pytest.raises(docker.errors.APIError, match=r"Unauthorized|failed with status: 401"):
        sdk.login("me", "wrong", registry=searchable.host, reauth=True)
    searchable.basic = None
    assert [row["name"] for row in sdk.images.search(f"{searchable.host}/x", limit=3)] == ["me/app", "me/other"]


def test_docker_shows_the_tree_of_images(cli: DockerCli) -> None:
    if cli.major < 28:
        return  # --tree is docker 27's
    shown = cli.out("images", "--tree")
    assert "busybox:latest" in shown and "linux/" in shown

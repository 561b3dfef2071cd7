"""Docker's clients push through our engine to Debian's registry."""

import docker
import pytest

from tests.compat.conftest import DockerCli

pytestmark = [pytest.mark.privileged, pytest.mark.peer]


def test_docker_pushes_and_pulls_back(cli: DockerCli, registry: str) -> None:
    name = f"{registry}/team/app"
    cli("tag", "busybox", f"{name}:v1")
    cli("tag", "busybox", f"{name}:v2")
    image_id = cli.out("inspect", "-f", "{{.Id}}", "busybox")
    lines = cli.out("push", f"{name}:v1").splitlines()
    assert lines[0] == f"The push refers to repository [{name}]"
    assert lines[1].endswith(": Preparing") and lines[2].endswith(": Pushed")
    assert lines[3].startswith("v1: digest: sha256:")
    everything = cli.out("push", "--all-tags", name)
    assert "Layer already exists" in everything and "v2: digest: sha256:" in everything
    cli("rmi", f"{name}:v1", f"{name}:v2")
    cli("pull", f"{name}:v2")
    assert cli.out("inspect", "-f", "{{.Id}}", f"{name}:v2") == image_id
    cli("tag", f"{name}:v2", f"{registry}/mounted:v1")
    assert "Mounted from team/app" in cli.out("push", f"{registry}/mounted:v1")
    cli("rmi", f"{name}:v2", f"{registry}/mounted:v1")


def test_docker_py_pushes(sdk: docker.DockerClient, registry: str) -> None:
    image = sdk.images.get("busybox")
    assert image.tag(f"{registry}/py", tag="v1")
    messages = list(sdk.images.push(f"{registry}/py", tag="v1", stream=True, decode=True))
    (aux,) = [message["aux"] for message in messages if "aux" in message]
    assert aux["Tag"] == "v1" and aux["Digest"].startswith("sha256:") and aux["Size"] > 0
    assert sdk.images.get_registry_data(f"{registry}/py:v1").id == aux["Digest"]
    assert f"{registry}/py@{aux['Digest']}" in sdk.images.get(f"{registry}/py:v1").attrs["RepoDigests"]
    sdk.images.remove(f"{registry}/py:v1")
    errors = [m for m in sdk.images.push(f"{registry}/nosuch", stream=True, decode=True) if "error" in m]
    assert errors[0]["error"] == f"An image does not exist locally with the tag: {registry}/nosuch"

"""Pulling from a registry that works."""

import pytest

from tests.images.conftest import Service
from tests.images.image_builder import simple_image
from tests.registry.fake_registry import OCI_INDEX, OCI_MANIFEST, FakeRegistry
from wherry.errors import NotFound
from wherry.oci.platform import parse as parse_platform

pytestmark = pytest.mark.privileged


def test_a_pulled_image_is_whole_and_named(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("content")
    digest = image.push(registry.repository("team/app"), "v1")
    pulled = service.pull(f"{registry.host}/team/app:v1")
    assert pulled.id == image.id
    assert pulled.repo_tags == (f"{registry.host}/team/app:v1",)
    assert pulled.repo_digests == (f"{registry.host}/team/app@{digest}",)
    assert service.file(pulled, "dir0/file") == b"content"
    assert service.file(pulled, "dir1/file") == b"content"
    assert service.statuses()[0] == "Pulling from team/app"
    assert service.progress[0]["id"] == "v1"
    for status in ("Pulling fs layer", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"):
        assert status in service.statuses()
    assert service.statuses()[-2:] == [
        f"Digest: {digest}",
        f"Status: Downloaded newer image for {registry.host}/team/app:v1",
    ]
    assert ("image", "pull") == service.events[-1][:2]
    service.check()

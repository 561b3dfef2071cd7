"""Texts and orders that clients see, each once compared with a running dockerd."""

import io

import pytest

from tests.images.conftest import Service
from tests.images.image_builder import simple_image
from tests.registry.fake_registry import FakeRegistry
from wherry.errors import InvalidParameter, NotFound

pytestmark = pytest.mark.privileged


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nosuch", "No such image: nosuch"),
        ("nosuch:v1", "reference does not exist"),
        ("here:v2", "reference does not exist"),
        ("abcdef", "No such image: abcdef"),
    ],
)
def test_saving_an_unknown_image_has_texts_of_its_own(service: Service, name: str, message: str) -> None:
    service.images.load(io.BytesIO(simple_image().docker_archive("here:v1")), progress=service.progress.append)
    with pytest.raises(NotFound) as caught:
        service.images.save([name], io.BytesIO())
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("repository", "tag", "message"),
    [
        ("sha256", "x", "refusing to create an ambiguous tag using digest algorithm as name"),
        ("x", "bad:", "invalid tag format"),
        ("", "", "invalid reference format"),
    ],
)
def test_names_that_cannot_be_given(service: Service, repository: str, tag: str, message: str) -> None:
    service.images.load(io.BytesIO(simple_image().docker_archive("here:v1")), progress=service.progress.append)
    with pytest.raises(InvalidParameter) as caught:
        service.images.tag("here:v1", repository, tag)
    assert caught.value.message == message


def test_removal_by_id_names_tags_and_digests_in_one_order(service: Service, registry: FakeRegistry) -> None:
    image = simple_image()
    digest = image.push(registry.repository("b"), "v1")
    service.pull(f"{registry.host}/b:v1")
    for repository in ("z", f"{registry.host}/a", f"{registry.host}/b"):
        service.images.tag(image.id, repository, "v2")
    host = registry.host
    untagged = [r["Untagged"] for r in service.images.remove(image.id, force=True) if "Untagged" in r]
    assert untagged == [f"{host}/a:v2", f"{host}/b:v1", f"{host}/b:v2", f"{host}/b@{digest}", "z:v2"]


def test_manifests_of_an_image_are_the_one_that_is_here(service: Service, registry: FakeRegistry) -> None:
    image = simple_image()
    digest = image.push(registry.repository("b"), "v1")
    service.pull(f"{registry.host}/b:v1")
    (found,) = service.images.inspect(image.id, manifests=True)["Manifests"]
    content = sum(map(len, (image.config_bytes, *image.compressed))) + found["Descriptor"]["size"]
    assert found["ID"] == found["Descriptor"]["digest"] == digest
    assert found["Kind"] == "image" and found["Available"] is True
    assert found["Size"]["Content"] == content
    assert found["ImageData"]["Platform"] == {"architecture": image.config["architecture"], "os": "linux"}
    assert found["Size"]["Total"] - content == found["ImageData"]["Size"]["Unpacked"] > 0
    (listed,) = service.images.summaries(manifests=True)
    assert listed["Manifests"] == [found]


def test_the_digests_that_go_with_a_last_tag_have_no_event_of_their_own(
    service: Service, registry: FakeRegistry
) -> None:
    image = simple_image()
    digest = image.push(registry.repository("b"), "v1")
    name = f"{registry.host}/b"
    service.pull(f"{name}:v1")
    service.images.tag(f"{name}:v1", "other", "v1")
    service.events.clear()
    assert service.images.remove(f"{name}:v1") == [{"Untagged": f"{name}:v1"}, {"Untagged": f"{name}@{digest}"}]
    assert [event[:3] for event in service.events] == [("image", "untag", image.id)]

"""Pulling from a registry that works."""

import socket
import threading
import time
from pathlib import Path

import pytest

from tests.images.conftest import Service, close_service, make_service
from tests.images.image_builder import simple_image
from tests.registry.fake_registry import OCI_INDEX, OCI_MANIFEST, FakeRegistry, sha256
from tests.registry.faults import slow, stall
from wherry.errors import Forbidden, InvalidParameter, NotFound, Unavailable
from wherry.images.download import Cancelled
from wherry.images.transfer import Transfer
from wherry.oci.platform import parse as parse_platform
from wherry.registry.credentials import AuthConfig

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
    assert service.events[-1][:2] == ("image", "pull")
    service.check()


def test_pulling_again_with_nothing_new_is_one_request(service: Service, registry: FakeRegistry) -> None:
    digest = simple_image().push(registry.repository("app"), "v1")
    name = f"{registry.host}/app:v1"
    first = service.pull(name)
    registry.requests.clear()
    service.progress.clear()
    assert service.pull(name) == first
    assert [(r.method, r.path) for r in registry.requests] == [("HEAD", "/v2/app/manifests/v1")]
    assert service.statuses()[1:] == [f"Digest: {digest}", f"Status: Image is up to date for {name}"]


def test_a_moved_tag_is_followed_and_the_old_image_stays_untagged(service: Service, registry: FakeRegistry) -> None:
    name = f"{registry.host}/app:v1"
    simple_image("old").push(registry.repository("app"), "v1")
    old = service.pull(name)
    simple_image("new").push(registry.repository("app"), "v1")
    new = service.pull(name)
    assert new.id != old.id
    assert service.images.resolve(name).id == new.id
    assert service.images.resolve(old.id).repo_tags == ()
    service.check()


def test_a_shared_layer_is_fetched_once_and_said_to_exist(service: Service, registry: FakeRegistry) -> None:
    first = simple_image("x", layers=2)
    second = simple_image("x", layers=3)
    first.push(registry.repository("one"), "v1")
    second.push(registry.repository("two"), "v1")
    service.pull(f"{registry.host}/one:v1")
    registry.requests.clear()
    service.progress.clear()
    service.pull(f"{registry.host}/two:v1")
    assert service.statuses().count("Already exists") == 2
    assert sum("/blobs/" in path for path in registry.paths("GET")) == 2  # the config and one layer
    service.check()


def test_two_pulls_at_once_fetch_a_layer_once(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("shared", layers=1, size=400_000)
    image.push(registry.repository("one"), "v1")
    image.push(registry.repository("two"), "v1")
    registry.always = slow(0.3)
    threads = [threading.Thread(target=service.pull, args=(f"{registry.host}/{n}:v1",)) for n in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    layer = sha256(image.compressed[0])
    assert sum(path.endswith(layer) for path in registry.paths("GET")) == 1
    assert len(service.images.resolve(image.id).repo_tags) == 2
    service.check()


def test_an_index_is_resolved_by_platform(service: Service, registry: FakeRegistry) -> None:
    repository = registry.repository("multi")
    entries = []
    images = {}
    for architecture in ("amd64", "s390x"):
        image = images[architecture] = simple_image(architecture)
        image.config["architecture"] = architecture
        digest = image.push(repository)
        size = len(repository.manifests[digest][1])
        platform = {"os": "linux", "architecture": architecture}
        entries.append({"mediaType": OCI_MANIFEST, "digest": digest, "size": size, "platform": platform})
    index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries}
    index_digest = repository.add_manifest(index, "v1", media_type=OCI_INDEX)
    name = f"{registry.host}/multi:v1"
    pulled = service.pull(name, platform=parse_platform("linux/s390x"))
    assert pulled.id == images["s390x"].id
    assert pulled.repo_digests == (f"{registry.host}/multi@{index_digest}",)
    assert service.pull(name, platform=parse_platform("linux/amd64")).id == images["amd64"].id
    with pytest.raises(NotFound, match="no matching manifest for linux/riscv64 in the manifest list entries"):
        service.pull(name, platform=parse_platform("linux/riscv64"))
    with pytest.raises(NotFound, match="does not match the specified platform"):
        service.images.resolve(f"{registry.host}/multi:v1", parse_platform("linux/riscv64"))
    service.check()


def test_errors_are_told_in_dockers_words(service: Service, registry: FakeRegistry) -> None:
    simple_image().push(registry.repository("app"), "v1")
    with pytest.raises(NotFound) as caught:
        service.pull(f"{registry.host}/app:nope")
    host = registry.host
    assert str(caught.value) == f"manifest for {host}/app:nope not found: manifest unknown: manifest unknown"
    with pytest.raises(NotFound) as caught:
        service.pull(f"{registry.host}/none:v1")
    assert str(caught.value) == (
        f"repository {host}/none not found: name unknown: repository name not known to registry"
    )
    refused: list[tuple[int, dict[str, str], bytes]] = [
        (429, {}, b'{"errors": [{"code": "TOOMANYREQUESTS", "message": "You have reached your limit."}]}')
    ]
    registry.next_statuses = refused * 3
    with pytest.raises(Unavailable) as unavailable:
        service.pull(f"{registry.host}/app:v1")
    assert str(unavailable.value) == "toomanyrequests: You have reached your limit."


def test_a_dead_registry_is_told_as_docker_does(service: Service) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(Unavailable) as caught:
            service.pull(f"127.0.0.1:{port}/app:v1")
    assert str(caught.value) == (
        f'Get "http://127.0.0.1:{port}/v2/": dial tcp 127.0.0.1:{port}: connect: connection refused'
    )


def test_a_cancelled_pull_ends_soon_and_keeps_its_bytes(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("slow", layers=1, size=2_000_000)
    image.push(registry.repository("app"), "v1")
    registry.always = stall(30, after=500_000)
    cancelled = threading.Event()
    threading.Timer(0.4, cancelled.set).start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        service.pull(f"{registry.host}/app:v1", cancelled=cancelled)
    assert time.monotonic() - started < 3
    registry.always = None
    assert service.pull(f"{registry.host}/app:v1").id == image.id


def test_a_listener_that_fails_cancels_the_pull(service: Service, registry: FakeRegistry) -> None:
    simple_image().push(registry.repository("app"), "v1")

    def gone(message: dict[str, object]) -> None:
        if message["status"] == "Pulling fs layer":
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        service.images.pull(f"{registry.host}/app:v1", Transfer(gone))


def test_a_mirror_serves_docker_hub_without_its_credentials(tmp_path: Path, registry: FakeRegistry) -> None:
    image = simple_image()
    image.push(registry.repository("library/app"), "v1")
    mirrored = make_service(tmp_path / "data", registry_mirrors=(registry.url,))
    pulled = mirrored.pull("app:v1", auth=AuthConfig("user", "secret"))
    assert pulled.repo_tags == ("app:v1",)
    assert not any("Authorization" in request.headers for request in registry.requests)
    close_service(mirrored)


def test_all_tags_are_pulled_page_by_page(service: Service, registry: FakeRegistry) -> None:
    same, other = simple_image("same"), simple_image("other")
    for tag in ("a", "b", "c", "d", "e"):
        (other if tag == "d" else same).push(registry.repository("team/app"), tag)
    name = f"{registry.host}/team/app"
    service.images.pull_all(name, service.transfer())
    tags = {tag for image in service.images.list_images() for tag in image.repo_tags}
    assert tags == {f"{name}:{tag}" for tag in "abcde"}
    assert len([path for path in registry.paths("GET") if "tags/list" in path]) == 3
    assert [m["id"] for m in service.progress if m.get("status") == "Pulling from team/app"] == list("abcde")
    assert [s for s in service.statuses() if s.startswith("Status")] == [f"Status: Downloaded newer image for {name}"]
    service.progress.clear()
    service.images.pull_all(name, service.transfer())
    assert service.statuses()[-1] == f"Status: Image is up to date for {name}"
    with pytest.raises(NotFound, match=r"repository .*/none not found: name unknown: repository name not known"):
        service.images.pull_all(f"{registry.host}/none", service.transfer())


def test_a_list_of_tags_that_never_ends_is_given_up(service: Service, registry: FakeRegistry) -> None:
    page = (200, {"Link": '</v2/app/tags/list?last=a&n=1>; rel="next"'}, b'{"name": "app", "tags": ["a"]}')
    registry.next_statuses = [page, page]
    with pytest.raises(InvalidParameter, match="does not end"):
        service.images.pull_all(f"{registry.host}/app", service.transfer())
    registry.next_statuses = [(200, {"Link": '<http://other.example/x?n=1>; rel="next"'}, b'{"tags": ["a"]}')]
    with pytest.raises(Forbidden, match="another host"):
        service.images.pull_all(f"{registry.host}/app", service.transfer())

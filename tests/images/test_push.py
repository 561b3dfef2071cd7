"""Pushing to a registry that works, and to one that misbehaves (R21, R24, S08, S09)."""

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.images.conftest import Service, close_service, make_service
from tests.images.image_builder import TestImage, simple_image
from tests.registry.fake_registry import OCI_LAYER_GZIP, FakeRegistry, Handler, sha256
from tests.registry.faults import cut_upload
from wherry.content.errors import StorageFault
from wherry.errors import Forbidden, NotFound, System, Unauthorized, Unavailable, WherryError
from wherry.registry.credentials import AuthConfig
from wherry.registry.uploads import PIECE_BYTES

pytestmark = pytest.mark.privileged


def push(service: Service, name: str, **options: Any) -> list[str]:
    """The progress lines."""
    service.progress.clear()
    service.images.push(name, service.transfer(**options))
    return [f"{m['id']}: {m['status']}" if "id" in m else m["status"] for m in service.progress if "status" in m]


def pulled(service: Service, registry: FakeRegistry, image: TestImage, name: str = "source") -> str:
    digest = image.push(registry.repository(name), "v1")
    service.pull(f"{registry.host}/{name}:v1")
    return digest


def layer_id(image: TestImage, i: int) -> str:
    return sha256(image.layers[i])[7:19]


def loaded(service: Service, image: TestImage, *tags: str) -> None:
    import io

    service.images.load(io.BytesIO(image.docker_archive(*tags)), progress=service.progress.append)


def test_what_was_pulled_is_pushed_as_it_came(service: Service, registry: FakeRegistry) -> None:
    image = simple_image()
    digest = pulled(service, registry, image)
    with FakeRegistry() as other:
        service.images.tag(f"{registry.host}/source:v1", f"{other.host}/team/app", "v2")
        lines = push(service, f"{other.host}/team/app:v2")
        target = other.repository("team/app")
        assert target.manifests["v2"] == target.manifests[digest] == registry.repository("source").manifests["v1"]
        assert set(target.blobs) == {image.id, *map(sha256, image.compressed)}
        size = len(target.manifests["v2"][1])
        assert lines[0] == f"The push refers to repository [{other.host}/team/app]"
        assert lines[1:3] == [f"{layer_id(image, 1)}: Preparing", f"{layer_id(image, 0)}: Preparing"]
        assert sorted(line for line in lines if line.endswith(": Pushed")) == sorted(
            f"{layer_id(image, i)}: Pushed" for i in range(2)
        )
        assert lines[-1] == f"v2: digest: {digest} size: {size}"
        assert service.progress[-1] == {
            "progressDetail": {}, "aux": {"Tag": "v2", "Digest": digest, "Size": size}
        }  # fmt: skip
        assert f"{other.host}/team/app@{digest}" in service.images.inspect(image.id)["RepoDigests"]
        assert service.events[-1][:3] == ("image", "push", f"{other.host}/team/app:v2")
        again = push(service, f"{other.host}/team/app:v2")
        assert f"{layer_id(image, 0)}: Layer already exists" in again
        assert not [r for r in other.requests[-4:] if r.method == "PATCH"]
    service.check()


def test_a_plain_layer_is_compressed_to_the_same_digest_each_time(
    service: Service, registry: FakeRegistry, tmp_path: Path
) -> None:
    image = simple_image("plain", size=300_000)
    loaded(service, image, f"{registry.host}/app:v1")
    push(service, f"{registry.host}/app:v1")
    service.check()
    _, data = registry.repository("app").manifests["v1"]
    layers = json.loads(data)["layers"]
    assert {layer["mediaType"] for layer in layers} == {OCI_LAYER_GZIP}
    assert json.loads(data)["config"]["digest"] == image.id
    other = make_service(tmp_path / "other")
    try:
        assert other.pull(f"{registry.host}/app:v1").id == image.id
        loaded(other, image, f"{registry.host}/again:v1")
        # Here the layers are stored as the gzip that came, and so they go out.
        push(other, f"{registry.host}/again:v1")
        assert json.loads(registry.repository("again").manifests["v1"][1])["layers"] == layers
    finally:
        close_service(other)
    third = make_service(tmp_path / "third")
    try:
        loaded(third, image, f"{registry.host}/third:v1")
        push(third, f"{registry.host}/third:v1")
        assert registry.repository("third").manifests["v1"][1] == data
    finally:
        close_service(third)


def test_a_compressed_layer_is_remembered_and_not_made_again(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("memo")
    loaded(service, image, f"{registry.host}/app:v1", f"{registry.host}/mounted:v1")
    push(service, f"{registry.host}/app:v1")
    blobs = Path(service.settings.data_root, "content/blobs/sha256")
    plain = [blobs / sha256(layer).partition(":")[2] for layer in image.layers]
    for blob in plain:
        blob.rename(f"{blob}.away")  # to compress it again would fail
    assert sum("Layer already exists" in line for line in push(service, f"{registry.host}/app:v1")) == 2
    assert sum("Mounted from app" in line for line in push(service, f"{registry.host}/mounted:v1")) == 2
    for blob in plain:
        Path(f"{blob}.away").rename(blob)
    registry.repositories.clear()  # a registry forgets; the engine then has to make the blobs again
    assert sum(line.endswith(": Pushed") for line in push(service, f"{registry.host}/app:v1")) == 2
    service.check()


def test_layers_of_a_neighbour_are_mounted(service: Service, registry: FakeRegistry) -> None:
    registry.token, registry.users = True, {"me": "pw"}
    image = simple_image()
    auth = AuthConfig("me", "pw")
    image.push(registry.repository("team/base"), "v1")
    service.pull(f"{registry.host}/team/base:v1", auth=auth)
    service.images.tag(f"{registry.host}/team/base:v1", f"{registry.host}/team/app", "v1")
    lines = push(service, f"{registry.host}/team/app:v1", auth=auth)
    assert sum(line.endswith("Mounted from team/base") for line in lines) == 2
    scopes = [r.path for r in registry.requests if r.path.startswith("/token")]
    assert any("team%2Fbase%3Apull" in path and "team%2Fapp%3Apull%2Cpush" in path for path in scopes)


def test_a_mount_that_is_refused_becomes_an_upload(service: Service, registry: FakeRegistry) -> None:
    image = simple_image()
    pulled(service, registry, image, "gone")
    service.images.tag(f"{registry.host}/gone:v1", f"{registry.host}/app", "v1")
    del registry.repositories["gone"]
    assert sum(line.endswith(": Pushed") for line in push(service, f"{registry.host}/app:v1")) == 2
    assert len([r for r in registry.requests if r.method == "POST"]) == 3  # one for each layer, and the config's


def test_all_tags_of_a_repository_are_pushed(service: Service, registry: FakeRegistry) -> None:
    loaded(service, simple_image("one"), f"{registry.host}/app:b")
    loaded(service, simple_image("two"), f"{registry.host}/app:a", f"{registry.host}/other:x")
    lines = push(service, f"{registry.host}/app")
    assert [line[:10] for line in lines if "digest:" in line] == ["a: digest:", "b: digest:"]
    assert set(registry.repositories) == {"app"}


def test_r24_a_cut_upload_goes_on_where_it_stopped(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("cut", layers=1, size=800_000)
    pulled(service, registry, image)
    with FakeRegistry() as other:
        other.upload_faults = [cut_upload(200_000), cut_upload(300_000), lambda handler, data: False]
        service.images.tag(f"{registry.host}/source:v1", f"{other.host}/app", "v1")
        push(service, f"{other.host}/app:v1")
        assert other.repository("app").blobs[sha256(image.compressed[0])] == image.compressed[0]
        starts = [
            r.headers.get("Content-Range", "0-").partition("-")[0] for r in other.requests if r.method == "PATCH"
        ]
        assert starts[:3] == ["0", "200000", "500000"]


def test_r24_an_upload_that_the_registry_has_lost_begins_again(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("lost", layers=1, size=400_000)
    pulled(service, registry, image)
    with FakeRegistry() as other:

        def lose(handler: Handler, data: bytes) -> bool:
            cut_upload(100_000)(handler, data)
            other.uploads.clear()
            return True

        other.upload_faults = [lose]
        service.images.tag(f"{registry.host}/source:v1", f"{other.host}/app", "v1")
        push(service, f"{other.host}/app:v1")
        assert sha256(image.compressed[0]) in other.repository("app").blobs


def test_r24_a_registry_that_always_cuts_is_given_up(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("never", layers=1, size=400_000)
    pulled(service, registry, image)
    with FakeRegistry() as other:
        other.upload_faults = [cut_upload(0)] * 50
        service.images.tag(f"{registry.host}/source:v1", f"{other.host}/app", "v1")
        with pytest.raises(Unavailable):
            push(service, f"{other.host}/app:v1")
        assert len([r for r in other.requests if r.method == "PATCH"]) == 3
        assert "v1" not in other.repository("app").manifests


def test_r24_too_many_requests_is_waited_for(service: Service, registry: FakeRegistry) -> None:
    loaded(service, simple_image("busy"), f"{registry.host}/app:v1")
    registry.next_statuses = [(429, {"Retry-After": "0"}, b""), (503, {}, b""), (429, {"Retry-After": "0"}, b"")]
    push(service, f"{registry.host}/app:v1")
    assert "v1" in registry.repository("app").manifests


def test_a_registry_that_takes_only_pieces_gets_pieces(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("pieces", layers=1, size=PIECE_BYTES + PIECE_BYTES // 2)
    pulled(service, registry, image)
    with FakeRegistry() as other:
        other.upload_limit = PIECE_BYTES
        service.images.tag(f"{registry.host}/source:v1", f"{other.host}/app", "v1")
        push(service, f"{other.host}/app:v1")
        assert sha256(image.compressed[0]) in other.repository("app").blobs


def test_a_push_that_is_not_allowed_is_denied_in_dockers_words(service: Service, registry: FakeRegistry) -> None:
    loaded(service, simple_image(), f"{registry.host}/app:v1")
    registry.token, registry.users, registry.read_only = True, {"me": "pw"}, {"", "me"}
    with pytest.raises(Forbidden, match=r"^denied: requested access to the resource is denied$"):
        push(service, f"{registry.host}/app:v1", auth=AuthConfig("me", "pw"))
    with pytest.raises(Forbidden, match=r"^denied: requested access to the resource is denied$"):
        push(service, f"{registry.host}/app:v1")
    with pytest.raises(Unauthorized, match="incorrect username or password"):
        push(service, f"{registry.host}/app:v1", auth=AuthConfig("me", "wrong"))


def test_a_registry_with_passwords_wants_one(service: Service) -> None:
    with FakeRegistry(basic=("me", "pw")) as registry:
        loaded(service, simple_image(), f"{registry.host}/app:v1")
        with pytest.raises(Unauthorized, match=r"^no basic auth credentials$"):
            push(service, f"{registry.host}/app:v1")
        push(service, f"{registry.host}/app:v1", auth=AuthConfig("me", "pw"))
        assert "v1" in registry.repository("app").manifests


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("here:v1", "tag does not exist: here:v1"),
        ("nosuch:v1", "An image does not exist locally with the tag: nosuch"),
        ("nosuch", "An image does not exist locally with the tag: nosuch"),
    ],
)
def test_what_is_not_here_cannot_be_pushed(service: Service, registry: FakeRegistry, name: str, message: str) -> None:
    name = name.replace("here", f"{registry.host}/here")
    message = message.replace("here", f"{registry.host}/here")
    loaded(service, simple_image("here", layers=1), f"{registry.host}/here:v2")
    with pytest.raises(NotFound, match=message):
        push(service, name)


def test_s09_an_upload_elsewhere_gets_no_credentials(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("elsewhere", layers=1)
    pulled(service, registry, image)
    with FakeRegistry(basic=("me", "pw")) as front, FakeRegistry() as store:
        store.uploads["u0"] = bytearray()
        location = {"Location": f"{store.url}/v2/app/blobs/uploads/u0?state=s"}
        service.images.tag(f"{registry.host}/source:v1", f"{front.host}/app", "v1")
        service.images.tag(f"{registry.host}/source:v1", f"{front.host}/first", "v1")
        push(service, f"{front.host}/first:v1", auth=AuthConfig("me", "pw"))  # from here on it is known how
        front.next_statuses = [(200, {}, b""), (404, {}, b""), (202, location, b"")]  # ping, HEAD, refused mount
        push(service, f"{front.host}/app:v1", auth=AuthConfig("me", "pw"))
        assert [r.method for r in store.requests] == ["PATCH", "PUT"]
        assert all("Authorization" not in r.headers for r in store.requests)
        assert front.requests[-1].headers["Authorization"].startswith("Basic ")


def test_a_registry_that_stores_another_manifest_is_found_out(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("other", layers=1)
    pulled(service, registry, image)
    service.images.tag(f"{registry.host}/source:v1", f"{registry.host}/app", "v1")
    push(service, f"{registry.host}/app:v1")
    wrong = {"Docker-Content-Digest": "sha256:" + "0" * 64}
    registry.next_statuses = [(200, {}, b""), (200, {}, b""), (200, {}, b""), (201, wrong, b"")]
    with pytest.raises(WherryError, match="manifest verification failed"):
        push(service, f"{registry.host}/app:v1")


def test_a_stored_layer_that_rotted_is_not_pushed(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("rotten", layers=1)
    loaded(service, image, f"{registry.host}/app:v1")
    path = Path(service.settings.data_root) / "content/blobs/sha256" / sha256(image.layers[0])[7:]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"rotten", b"R0TTEN"))
    with pytest.raises(StorageFault, match="corrupt"):
        push(service, f"{registry.host}/app:v1")
    assert "app" not in registry.repositories
    # A blob that is already compressed is checked by the registry.
    packed = simple_image("packed", layers=1)
    pulled(service, registry, packed)
    path = path.parent / sha256(packed.compressed[0])[7:]
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    with FakeRegistry() as other:
        service.images.tag(f"{registry.host}/source:v1", f"{other.host}/app", "v1")
        with pytest.raises(System, match=r"^digest invalid: provided digest did not match uploaded content$"):
            push(service, f"{other.host}/app:v1")


def test_a_cancelled_push_ends_and_leaves_nothing(service: Service, registry: FakeRegistry) -> None:
    loaded(service, simple_image("cancelled", size=300_000), f"{registry.host}/app:v1")
    cancelled = threading.Event()
    registry.always = None

    def cancel(handler: object, data: bytes) -> bool:
        cancelled.set()
        return False

    registry.upload_faults = [cancel, cancel]
    with pytest.raises(WherryError):
        push(service, f"{registry.host}/app:v1", cancelled=cancelled)
    assert "v1" not in registry.repository("app").manifests
    service.check()


def test_a_registry_that_knows_no_head_gets_everything(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("head", layers=1)
    pulled(service, registry, image)
    with FakeRegistry() as other:
        service.images.tag(f"{registry.host}/source:v1", f"{other.host}/app", "v1")
        other.next_statuses = [(200, {}, b""), (405, {}, b"")]
        push(service, f"{other.host}/app:v1")
        assert "v1" in other.repository("app").manifests

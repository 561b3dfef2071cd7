"""Hostile registries and images: nothing is stored, no tag moves (S01 to S07, S10, S13, S16, S18)."""

import bz2
import gzip
import json
import lzma
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from backports import zstd

from tests.images.conftest import Service, close_service, make_service
from tests.images.image_builder import TestImage, layer_tar, simple_image
from tests.registry.fake_registry import OCI_INDEX, OCI_MANIFEST, FakeRegistry, Fault, sha256
from tests.registry.faults import announce, flip, over_send_chunked, truncate
from wherry.errors import InvalidParameter, NotFound, WherryError

pytestmark = pytest.mark.privileged


CUT, CUT_MORE = truncate(1), truncate(700)


def assert_refused(
    service: Service, name: str, match: str | None = None, kind: type[WherryError] = WherryError
) -> WherryError:
    """The pull fails, and everything is as it was before."""
    blobs, layers = service.blobs(), service.layers()
    tags = {image.id: image.repo_tags for image in service.images.list_images()}
    with pytest.raises(kind, match=match) as caught:
        service.pull(name)
    assert service.blobs() == blobs
    assert service.layers() == layers
    assert {image.id: image.repo_tags for image in service.images.list_images()} == tags
    return caught.value


@pytest.mark.parametrize(
    "fault",
    [flip(0), flip(-1), flip(1000), CUT, CUT_MORE, announce(1), announce(-1), over_send_chunked(1)],
    ids=["first", "last", "middle", "short", "shorter", "longer", "smaller", "chunked"],
)
def test_s01_wrong_bytes_store_nothing_and_move_no_tag(
    service: Service, registry: FakeRegistry, fault: Fault
) -> None:
    name = f"{registry.host}/app:v1"
    simple_image("good").push(registry.repository("app"), "v1")
    good = service.pull(name)
    evil = simple_image("evil", layers=1)
    evil.push(registry.repository("app"), "v1")

    def on_layers(handler: Any, data: bytes) -> bool:
        return data == evil.compressed[0] and fault(handler, data)

    registry.always = on_layers
    if fault in (CUT, CUT_MORE):
        with pytest.raises(WherryError, match="unexpected EOF"):
            service.pull(name)
        assert sha256(evil.compressed[0]) not in service.blobs()  # what came whole may wait for the next try
    else:
        assert_refused(service, name)
    assert service.images.resolve(name).id == good.id
    registry.always = None
    assert service.pull(name).id == evil.id
    service.check()


@pytest.mark.parametrize("position", [0, 100, -1])
def test_s01_a_changed_config_is_refused(service: Service, registry: FakeRegistry, position: int) -> None:
    simple_image().push(registry.repository("app"), "v1")
    registry.faults = [flip(position)]
    assert_refused(service, f"{registry.host}/app:v1", kind=InvalidParameter)


def test_s01_a_changed_manifest_is_refused(service: Service, registry: FakeRegistry) -> None:
    repository = registry.repository("app")
    digest = simple_image().push(repository, "v1")
    media_type, data = repository.manifests[digest]
    repository.manifests[digest] = (media_type, data.replace(b'"size"', b'"size" ', 1))
    assert_refused(service, f"{registry.host}/app@{digest}", "manifest verification failed")


@pytest.mark.parametrize("size", [-1, 0, 2**63, 2**70, "n-1", "n+1"])
def test_s02_a_lying_size_is_refused(service: Service, registry: FakeRegistry, size: int | str) -> None:
    image = simple_image()
    manifest = image.manifest()
    true_size = manifest["layers"][0]["size"]
    manifest["layers"][0]["size"] = {"n-1": true_size - 1, "n+1": true_size + 1}.get(str(size), size)
    image.push(registry.repository("app"), "v1", manifest=manifest)
    assert_refused(service, f"{registry.host}/app:v1")


@pytest.mark.parametrize("digest", ["sha256:../../../../etc/passwd", "sha256:" + "A" * 64, "md5:" + "0" * 32, ""])
def test_s03_a_digest_that_is_none_never_becomes_a_request(
    service: Service, registry: FakeRegistry, digest: str
) -> None:
    image = simple_image()
    for where in ("config", "layer"):
        manifest = image.manifest()
        (manifest["config"] if where == "config" else manifest["layers"][0])["digest"] = digest
        image.push(registry.repository("app"), "v1", manifest=manifest)
        registry.requests.clear()
        assert_refused(service, f"{registry.host}/app:v1", "invalid digest", InvalidParameter)
        assert not any("/blobs/" in path for path in registry.paths())


@pytest.mark.parametrize("change", ["Layers", "manifests", "duplicate", "content-type", "schema1"])
def test_s04_an_ambiguous_manifest_is_refused(service: Service, registry: FakeRegistry, change: str) -> None:
    image = simple_image()
    text = json.dumps(image.manifest())
    media_type = OCI_MANIFEST
    if change in ("Layers", "manifests"):
        text = text[:-1] + f', "{change}": []}}'
    elif change == "duplicate":
        text = text[:-1] + ', "layers": []}'
    elif change == "schema1":
        text = '{"schemaVersion": 1, "fsLayers": [], "history": []}'
    else:
        media_type = OCI_INDEX
    image.push(registry.repository("app"))
    registry.repository("app").add_manifest(text.encode(), "v1", media_type=media_type)
    assert_refused(service, f"{registry.host}/app:v1", kind=InvalidParameter)


@pytest.mark.parametrize("bomb", [b"[" * 200_000, b'{"a":' + b"9" * 5000 + b"}", b" " * (5 << 20)])
def test_s05_a_json_bomb_as_manifest_or_config_is_refused(
    service: Service, registry: FakeRegistry, bomb: bytes
) -> None:
    registry.repository("app").add_manifest(bomb, "v1")
    assert_refused(service, f"{registry.host}/app:v1", kind=InvalidParameter)
    image = simple_image()
    manifest = image.manifest()
    manifest["config"].update(registry.repository("app").add_blob(bomb))
    image.push(registry.repository("app"), "v2", manifest=manifest)
    assert_refused(service, f"{registry.host}/app:v2", kind=InvalidParameter)


def test_s06_indexes_that_nest_without_end_are_refused(service: Service, registry: FakeRegistry) -> None:
    repository = registry.repository("app")
    digest = simple_image().push(repository)
    media_type = OCI_MANIFEST
    for _ in range(12):
        platform = {"os": "linux", "architecture": "amd64"}
        size = len(repository.manifests[digest][1])
        entry = {"mediaType": media_type, "digest": digest, "size": size, "platform": platform}
        index = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}
        digest, media_type = repository.add_manifest(index, "v1", media_type=OCI_INDEX), OCI_INDEX
    assert_refused(service, f"{registry.host}/app:v1", "nested deeper", InvalidParameter)
    assert len([path for path in registry.paths("GET") if "/manifests/" in path]) < 8


@pytest.mark.parametrize("change", ["fewer", "more", "swapped", "other"])
def test_s07_diff_ids_that_do_not_fit_the_layers_are_refused(
    service: Service, registry: FakeRegistry, change: str
) -> None:
    image = simple_image(layers=2)
    diff_ids = image.config["rootfs"]["diff_ids"]
    image.config["history"] = []
    image.config["rootfs"]["diff_ids"] = {
        "fewer": diff_ids[:1],
        "more": [*diff_ids, diff_ids[0]],
        "swapped": diff_ids[::-1],
        "other": [diff_ids[0], sha256(b"other")],
    }[change]
    image.push(registry.repository("app"), "v1")
    assert_refused(service, f"{registry.host}/app:v1", kind=InvalidParameter)


def test_s10_a_foreign_layer_is_refused_and_its_url_never_asked(service: Service, registry: FakeRegistry) -> None:
    with FakeRegistry() as attacker:
        image = simple_image()
        for change in ({"urls": [attacker.url + "/x"]}, {"mediaType": FOREIGN}):
            manifest = image.manifest()
            manifest["layers"][0].update(change)
            image.push(registry.repository("app"), "v1", manifest=manifest)
            assert_refused(service, f"{registry.host}/app:v1", "outside the registry", InvalidParameter)
        assert attacker.requests == []


FOREIGN = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"


def test_s13_a_digest_of_another_repository_does_not_count(service: Service, registry: FakeRegistry) -> None:
    digest = simple_image().push(registry.repository("mine"), "v1")
    simple_image("theirs").push(registry.repository("theirs"), "v1")
    service.pull(f"{registry.host}/mine:v1")
    assert_refused(service, f"{registry.host}/theirs:v1@{digest}", "not found", NotFound)
    with pytest.raises(NotFound):
        service.images.resolve(f"{registry.host}/theirs@{digest}")


def test_s16_labels_of_the_engine_never_reach_a_container(service: Service, registry: FakeRegistry) -> None:
    image = simple_image()
    image.config["config"] = {"Labels": {"io.wherry.log-uri": "binary:///bin/sh", "kept": "yes"}}
    image.push(registry.repository("app"), "v1")
    pulled = service.pull(f"{registry.host}/app:v1")
    assert pulled.config.defaults.labels == {"kept": "yes"}
    assert service.images.inspect(pulled.id)["Config"]["Labels"] == {"kept": "yes"}


LIMIT = 4 << 20


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Service]:
    made = make_service(tmp_path / "small", max_layer_size_bytes=LIMIT, max_image_size_bytes=2 * LIMIT)
    yield made
    close_service(made)


@pytest.fixture(scope="module")
def zeros() -> bytes:
    return layer_tar({"zeros": bytes(256 << 20)})


@pytest.mark.parametrize(
    "compress",
    [
        lambda data: gzip.compress(data, 1),
        lambda data: zstd.compress(data, 1),
        lambda data: lzma.compress(data, preset=0),
        lambda data: bz2.compress(data, 1),
    ],
    ids=["gzip", "zstd", "xz", "bzip2"],
)
def test_s18_a_decompression_bomb_stays_under_the_cap(
    small: Service, registry: FakeRegistry, zeros: bytes, compress: Any
) -> None:
    bomb = TestImage([zeros], compressed=[compress(zeros)])
    bomb.push(registry.repository("app"), "v1")
    started = time.monotonic()
    assert_refused(small, f"{registry.host}/app:v1", "larger than", InvalidParameter)
    assert time.monotonic() - started < 5
    assert disk_bytes(Path(small.settings.data_root)) < 2 << 20


def test_s18_the_cap_holds_for_the_sum_of_the_layers(small: Service, registry: FakeRegistry) -> None:
    layers = [layer_tar({f"f{i}": bytes(3 << 20)}) for i in range(4)]
    TestImage(layers).push(registry.repository("app"), "v1")
    assert_refused(small, f"{registry.host}/app:v1", "larger than", InvalidParameter)


@pytest.mark.parametrize("sizes", [[LIMIT + 1], [LIMIT, LIMIT, LIMIT]])
def test_s18_announced_sizes_over_the_cap_are_refused_before_a_byte_is_fetched(
    small: Service, registry: FakeRegistry, sizes: list[int]
) -> None:
    image = simple_image(layers=len(sizes))
    manifest = image.manifest()
    for layer, size in zip(manifest["layers"], sizes, strict=True):
        layer["size"] = size
    image.push(registry.repository("app"), "v1", manifest=manifest)
    assert_refused(small, f"{registry.host}/app:v1", "larger than", InvalidParameter)
    assert not any("/blobs/" in path for path in registry.paths())


def test_s18_a_zstd_window_beyond_the_cap_is_refused(small: Service, registry: FakeRegistry) -> None:
    layer = layer_tar({"f": b"x" * 100})
    options: dict[int, int] = {zstd.CompressionParameter.window_log: 30}
    compressor = zstd.ZstdCompressor(options=options)
    blob = compressor.compress(layer) + compressor.flush()
    TestImage([layer], compressed=[blob]).push(registry.repository("app"), "v1")
    assert_refused(small, f"{registry.host}/app:v1", "zstd", InvalidParameter)


def disk_bytes(root: Path) -> int:
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file() and "wherry.db" not in path.name)

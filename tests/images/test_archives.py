"""load, save and import (S14, S15, S18)."""

import gzip
import io
import json
import lzma
import subprocess
import tarfile
from pathlib import Path

import pytest
from backports import zstd

from tests.images.conftest import Service, close_service, make_service
from tests.images.image_builder import layer_tar, simple_image
from tests.registry.fake_registry import sha256
from wherry.errors import InvalidParameter, NotFound, WherryError
from wherry.images.image import Image

pytestmark = pytest.mark.privileged


def load(service: Service, archive: bytes) -> list[Image]:
    return list(service.images.load(io.BytesIO(archive), progress=service.progress.append))


def loaded(service: Service) -> list[str]:
    return [message["stream"] for message in service.progress if "stream" in message]


def assert_refused(service: Service, archive: bytes, match: str | None = None) -> None:
    before = (service.blobs(), service.layers(), [i.repo_tags for i in service.images.list_images()])
    with pytest.raises(InvalidParameter, match=match):
        load(service, archive)
    assert (service.blobs(), service.layers(), [i.repo_tags for i in service.images.list_images()]) == before


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress, lzma.compress], ids=["tar", "gz", "zst", "xz"])
def test_a_docker_archive_is_loaded_however_compressed(service: Service, pack: object) -> None:
    image = simple_image("docker")
    (got,) = load(service, pack(image.docker_archive("app:v1", "reg.example/app:v2")))  # type: ignore[operator]
    assert got.id == image.id
    assert got.repo_tags == ("app:v1", "reg.example/app:v2")
    assert service.file(got, "dir1/file") == b"docker"
    assert loaded(service) == ["Loaded image: app:v1\n", "Loaded image: reg.example/app:v2\n"]
    service.check()


def test_an_untagged_archive_is_loaded_by_id(service: Service) -> None:
    image = simple_image()
    load(service, image.docker_archive())
    assert loaded(service) == [f"Loaded image ID: {image.id}\n"]
    assert service.images.resolve(image.id[7:19]).id == image.id


def test_an_oci_archive_is_loaded_with_its_annotated_name(service: Service) -> None:
    image = simple_image("oci")
    load(service, image.oci_archive({"org.opencontainers.image.ref.name": "reg.example/app:v1"}))
    assert service.images.resolve("reg.example/app:v1").id == image.id
    service.check()
    other = simple_image("bare")
    load(service, other.oci_archive({"org.opencontainers.image.ref.name": "latest"}))
    assert service.images.resolve(other.id).repo_tags == ()


def test_the_links_of_an_old_docker_save_are_followed_inside_the_archive(service: Service) -> None:
    image = simple_image(layers=1)
    archive = image.docker_archive("app:v1", changes={"Layers": ["alias/layer.tar"]})
    real = sha256(image.layers[0])[7:]
    (got,) = load(service, with_link(archive, "alias/layer.tar", f"../{real}/layer.tar"))
    assert got.id == image.id


def with_link(archive: bytes, name: str, target: str, kind: bytes = tarfile.SYMTYPE) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(archive)) as old, tarfile.open(fileobj=out, mode="w") as new:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, target
        new.addfile(info)
        for member in old:
            new.addfile(member, old.extractfile(member))
    return out.getvalue()


@pytest.mark.parametrize(
    "changes",
    [
        {"Layers": ["../../etc/shadow", "../../etc/shadow"]},
        {"Layers": ["/etc/shadow", "/etc/shadow"]},
        {"Config": "../../etc/passwd"},
        {"Config": "/etc/passwd"},
        {"Layers": []},
        {"RepoTags": ["Bad Name"]},
        {"RepoTags": ["app@sha256:" + "0" * 64]},
        {"RepoTags": ["app"]},
    ],
)
def test_s15_paths_and_names_outside_the_archive_are_refused(service: Service, changes: dict[str, object]) -> None:
    assert_refused(service, simple_image().docker_archive("app:v1", changes=changes))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_s15_links_and_devices_are_refused(service: Service, kind: bytes) -> None:
    archive = simple_image().oci_archive()
    assert_refused(
        service, with_link(archive, "blobs/sha256/" + "0" * 64, "/etc/shadow", kind), "is a link|is not a plain"
    )


def test_s15_a_layer_link_out_of_the_archive_is_refused(service: Service) -> None:
    image = simple_image(layers=1)
    archive = image.docker_archive("app:v1", changes={"Layers": ["alias/layer.tar"]})
    for target in ("/etc/shadow", "../../../etc/shadow"):
        assert_refused(service, with_link(archive, "alias/layer.tar", target), "links out of the archive")
    for target in ("../missing/layer.tar", "layer.tar"):
        assert_refused(service, with_link(archive, "alias/layer.tar", target), "no regular file")


def test_s15_a_blob_under_a_wrong_digest_is_refused(service: Service) -> None:
    image = simple_image(layers=1)
    name = sha256(image.compressed[0])[7:]
    members = {}
    with tarfile.open(fileobj=io.BytesIO(image.oci_archive())) as tar:
        for member in tar:
            file = tar.extractfile(member)
            assert file is not None
            members[member.name] = file.read()
    members[f"blobs/sha256/{name}"] += b"more"
    assert_refused(service, layer_tar(members), "another content")


def test_a_member_that_comes_twice_is_refused(service: Service) -> None:
    archive = with_link(simple_image().docker_archive("app:v1"), "manifest.json", "", tarfile.REGTYPE)
    assert_refused(service, archive, "two members")


def test_s14_an_archive_touches_only_the_tags_it_names(service: Service) -> None:
    mine = simple_image("mine")
    load(service, mine.docker_archive("mine:v1"))
    theirs = simple_image("theirs")
    claim = json.dumps({"mine": {"v1": "0" * 64}}).encode()  # the legacy index, which Docker no longer reads either
    load(service, theirs.docker_archive("theirs:v1", extra={"repositories": claim}))
    assert service.images.resolve("mine:v1").id == mine.id
    assert service.images.resolve("theirs:v1").id == theirs.id


def test_s14_an_import_gets_the_given_name_and_no_other(service: Service) -> None:
    mine = simple_image("mine")
    load(service, mine.docker_archive("mine:v1"))
    service.images.import_(
        io.BytesIO(simple_image("evil").docker_archive("mine:v1")), reference="given:v1", progress=lambda _: None
    )
    assert service.images.resolve("mine:v1").id == mine.id
    assert service.images.resolve("given:v1").id != mine.id


def test_s14_a_broken_archive_moves_no_tag(service: Service) -> None:
    mine = simple_image("mine")
    load(service, mine.docker_archive("app:v1"))
    broken = simple_image("broken")
    broken.layers[0] = layer_tar({"other": b""})
    assert_refused(service, broken.docker_archive("app:v1"))
    assert service.images.resolve("app:v1").id == mine.id
    service.check()


@pytest.mark.parametrize("cut", [1, 511, 5000, -12000])
def test_a_truncated_archive_is_refused(service: Service, cut: int) -> None:
    assert_refused(service, simple_image().docker_archive("app:v1")[:cut])


def test_a_tampered_layer_is_refused(service: Service) -> None:
    archive = simple_image("needle-in-the-layer").docker_archive("app:v1")
    assert_refused(service, archive.replace(b"needle-in-the-layer", b"noodle-in-the-layer"))


def test_s18_an_archive_over_the_cap_is_refused_and_its_space_freed(tmp_path: Path) -> None:
    small = make_service(tmp_path / "data", max_layer_size_bytes=1 << 20, max_image_size_bytes=2 << 20)
    assert_refused(small, gzip.compress(layer_tar({"a": bytes(64 << 20)}), 1), "larger than")
    with pytest.raises(WherryError, match="larger than"):
        small.images.import_(
            io.BytesIO(gzip.compress(layer_tar({"a": bytes(64 << 20)}), 1)), reference="a", progress=lambda _: None
        )
    assert sum(p.stat().st_size for p in (tmp_path / "data/content").rglob("*") if p.is_file()) == 0
    close_service(small)


def test_what_is_saved_can_be_loaded_elsewhere(service: Service, tmp_path: Path) -> None:
    first, second = simple_image("first"), simple_image("second")
    load(service, first.docker_archive("app:v1", "app:v2"))
    load(service, second.oci_archive({"io.containerd.image.name": "reg.example/other:v1"}))
    out = io.BytesIO()
    service.images.save(["app", "reg.example/other:v1"], out)
    other = make_service(tmp_path / "other")
    got = load(other, out.getvalue())
    assert {image.id for image in got} == {first.id, second.id}
    assert other.images.resolve("app:v2").repo_tags == ("app:v1", "app:v2")
    assert other.images.resolve("reg.example/other:v1").id == second.id
    other.check()
    again = io.BytesIO()
    other.images.save(["app", "reg.example/other:v1"], again)
    assert again.getvalue() == out.getvalue()
    close_service(other)


def test_saving_an_unknown_image_writes_nothing(service: Service) -> None:
    out = io.BytesIO()
    with pytest.raises(NotFound, match="No such image: nope"):
        service.images.save(["nope"], out)
    assert out.getvalue() == b""


@pytest.mark.peer
def test_skopeo_reads_what_is_saved_and_the_reverse(service: Service, tmp_path: Path) -> None:
    image = simple_image("peer")
    load(service, image.docker_archive("app:v1"))
    saved = tmp_path / "saved.tar"
    with saved.open("wb") as file:
        service.images.save(["app:v1"], file)
    policy = ["skopeo", "--insecure-policy"]
    for source in (f"docker-archive:{saved}:app:v1", f"oci-archive:{saved}"):
        subprocess.run([*policy, "copy", "-q", source, f"dir:{tmp_path}/dir"], check=True, timeout=60)
    subprocess.run(
        [*policy, "copy", "-q", f"docker-archive:{saved}:app:v1", f"oci-archive:{tmp_path}/oci.tar:reg.example/x:v1"],
        check=True,
        timeout=60,
    )
    other = make_service(tmp_path / "other")
    (got,) = load(other, (tmp_path / "oci.tar").read_bytes())
    assert other.file(got, "dir0/file") == b"peer"
    assert got.repo_tags == ("reg.example/x:v1",)
    close_service(other)


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd.compress, lzma.compress], ids=["tar", "gz", "zst", "xz"])
def test_a_root_file_system_is_imported_with_changes(service: Service, pack: object) -> None:
    tar = layer_tar({"bin/": b"", "bin/sh": b"shell"})
    messages: list[dict[str, object]] = []
    image = service.images.import_(
        io.BytesIO(pack(tar)),  # type: ignore[operator]
        reference="mine",
        changes=[
            'CMD ["sh"]',
            "ENV A=1 B='two words'",
            "EXPOSE 80 53/udp",
            "LABEL x=y",
            "WORKDIR /srv",
            "USER nobody",
        ],
        message="made by hand",
        progress=messages.append,
    )
    assert image.repo_tags == ("mine:latest",)
    assert image.config.diff_ids == (sha256(tar),)
    config = image.config.defaults
    assert config.cmd == ("sh",)
    assert config.env == ("A=1", "B=two words")
    assert config.exposed_ports == {"80/tcp": {}, "53/udp": {}}
    assert (config.labels, config.working_dir, config.user) == ({"x": "y"}, "/srv", "nobody")
    assert image.config.comment == "made by hand"
    assert messages == [{"status": image.id}]
    assert service.file(image, "bin/sh") == b"shell"
    service.check()


def test_importing_nonsense_leaves_nothing(service: Service) -> None:
    for data in (b"not a tar" * 1000, gzip.compress(b"x" * 600), gzip.compress(b"abc")[:-4]):
        with pytest.raises(InvalidParameter):
            service.images.import_(io.BytesIO(data), reference="x", progress=lambda _: None)
    with pytest.raises(InvalidParameter, match="FROBNICATE is not a valid change command"):
        service.images.import_(io.BytesIO(layer_tar({})), changes=["FROBNICATE x"], progress=lambda _: None)
    assert service.blobs() == set()
    assert service.layers() == set()

"""Resolving, tagging, listing, inspecting, removing and pruning."""

import io
import threading
from typing import BinaryIO

import pytest

from tests.images.conftest import Service
from tests.images.image_builder import TestImage, simple_image
from wherry.errors import Conflict, InvalidParameter, NotFound
from wherry.images.image import ContainerUse, Image
from wherry.images.list import timestamp, until_time
from wherry.oci.image_config import ContainerConfig

pytestmark = pytest.mark.privileged


def load(service: Service, image: TestImage, *tags: str) -> Image:
    (got,) = service.images.load(io.BytesIO(image.docker_archive(*tags)), progress=service.progress.append)
    return got


def test_an_image_is_found_by_every_kind_of_name(service: Service) -> None:
    image = load(service, simple_image(), "user/app:v1")
    service.images.tag(image.id, "app")
    for name in ("user/app:v1", "docker.io/user/app:v1", "app", "app:latest", "library/app", image.id, image.short_id,
                 image.id[7:], image.id[:15]):  # fmt: skip
        assert service.images.resolve(name).id == image.id


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("nope", "nope:latest"),
        ("user/nope:v2", "user/nope:v2"),
        ("reg.example/x", "reg.example/x:latest"),
        ("deadbeef", "deadbeef:latest"),
        ("sha256:" + "0" * 64, "sha256:" + "0" * 64),
        ("0" * 64, "0" * 64),
    ],
)
def test_a_missing_image_is_told_in_dockers_words(service: Service, name: str, shown: str) -> None:
    with pytest.raises(NotFound) as caught:
        service.images.resolve(name)
    assert str(caught.value) == f"No such image: {shown}"


def test_a_bad_name_is_an_invalid_reference(service: Service) -> None:
    for name in ("", "A B", "x:", "UPPER"):
        with pytest.raises(InvalidParameter, match="invalid reference format"):
            service.images.resolve(name)


def test_a_short_id_that_fits_two_images_is_ambiguous(service: Service) -> None:
    seen: dict[str, str] = {}
    for n in range(40):
        image = load(service, simple_image(f"n{n}", layers=1, size=32))
        if image.id[7:8] in seen:
            with pytest.raises(InvalidParameter, match="ambiguous"):
                service.images.resolve(image.id[7:8])
            return
        seen[image.id[7:8]] = image.id
    raise AssertionError("40 ids with different first digits of 16")


def test_tagging_moves_a_name(service: Service) -> None:
    first, second = load(service, simple_image("a"), "app:v1"), load(service, simple_image("b"), "other:v1")
    service.images.tag("other:v1", "app", "v1")
    assert service.images.resolve("app:v1").id == second.id
    assert service.images.resolve(first.id).repo_tags == ()
    with pytest.raises(InvalidParameter):
        service.images.tag("other:v1", "app@sha256:" + "0" * 64)
    with pytest.raises(InvalidParameter):
        service.images.tag("other:v1", "Bad")


def test_removing_the_last_name_deletes_the_image(service: Service) -> None:
    image = load(service, simple_image(layers=2), "app:v1", "app:v2")
    assert service.images.remove("app:v1") == [{"Untagged": "app:v1"}]
    removed = service.images.remove("app:v2")
    assert removed[:2] == [{"Untagged": "app:v2"}, {"Deleted": image.id}]
    assert removed[2:] == [{"Deleted": chain} for chain in reversed(image.chain_ids)]
    assert service.blobs() == service.layers() == set()
    assert [event[1] for event in service.events] == ["load", "untag", "untag", "delete"]


def test_r20_everything_is_given_back(service: Service) -> None:
    for round_ in range(3):
        for name in ("a", "b"):
            load(service, simple_image(f"{name}{round_}"), f"{name}:v1")
        service.images.remove("a:v1")
        service.images.remove("b:v1")
    assert service.blobs() == service.layers() == set()
    assert service.content.discard_partial(older_than_seconds=0) == 0


def test_a_shared_layer_survives_until_its_last_image(service: Service) -> None:
    small, large = simple_image("x", layers=1), simple_image("x", layers=2)
    load(service, small, "small:v1")
    big = load(service, large, "large:v1")
    service.images.remove("small:v1")
    assert service.file(big, "dir0/file") == b"x"
    service.check()
    service.images.remove("large:v1")
    assert service.layers() == set()


def test_conflicts_are_dockers(service: Service) -> None:
    image = load(service, simple_image(), "app:v1")
    short = image.short_id
    service.uses[image.id] = [ContainerUse("c" * 64, "name", running=False)]
    with pytest.raises(Conflict) as caught:
        service.images.remove("app:v1")
    assert str(caught.value) == (
        'conflict: unable to remove repository reference "app:v1" (must force) - '
        f"container {'c' * 12} is using its referenced image {short}"
    )
    with pytest.raises(Conflict) as caught:
        service.images.remove(short)
    assert str(caught.value) == (
        f"conflict: unable to delete {short} (must be forced) - image is being used by stopped container {'c' * 12}"
    )
    service.uses[image.id] = [ContainerUse("d" * 64, "name", running=True)]
    with pytest.raises(Conflict) as caught:
        service.images.remove(short, force=True)
    assert str(caught.value) == (
        f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container {'d' * 12}"
    )
    service.uses.clear()
    service.images.tag("app:v1", "other", "v1")
    with pytest.raises(Conflict) as caught:
        service.images.remove(short)
    assert str(caught.value) == (
        f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    )
    removed = service.images.remove(short, force=True)
    assert removed[:3] == [{"Untagged": "app:v1"}, {"Untagged": "other:v1"}, {"Deleted": image.id}]


def test_a_forced_removal_of_a_used_tag_untags_and_keeps_the_containers_layers(service: Service) -> None:
    image = load(service, simple_image(), "app:v1")
    service.snapshotter.prepare("container", image.chain_id)
    service.uses[image.id] = [ContainerUse("c" * 64, "name", running=True)]
    assert service.images.remove("app:v1", force=True) == [{"Untagged": "app:v1"}]
    assert service.images.resolve(image.id).repo_tags == ()
    service.uses[image.id] = [ContainerUse("c" * 64, "name", running=False)]
    service.images.remove(image.id, force=True)
    assert service.layers() >= set(image.chain_ids)
    service.snapshotter.remove("container")
    service.images.collect()
    assert service.layers() == set()


def test_commit_puts_a_layer_on_top_and_remembers_the_parent(service: Service) -> None:
    base = load(service, simple_image(layers=1), "base:v1")

    def write_diff(out: BinaryIO) -> None:
        out.write(simple_image("diff", layers=1).layers[0])

    child = service.images.commit(
        base=base,
        write_diff=write_diff,
        config=ContainerConfig(cmd=("new",)),
        comment="why",
        author="me",
        reference="child:v1",
    )
    assert child.config.diff_ids[:1] == base.config.diff_ids
    assert (child.config.defaults.cmd, child.config.comment, child.parent_id) == (("new",), "why", base.id)
    assert service.file(child, "dir0/file") == b"diff"
    assert service.images.history("child:v1")[0]["Comment"] == "why"
    with pytest.raises(Conflict, match="image has dependent child images"):
        service.images.remove(base.id, force=True)
    service.check()
    service.images.remove("base:v1")
    removed = service.images.remove("child:v1")
    assert {"Deleted": base.id} in removed  # the untagged parent goes with its last child
    assert service.blobs() == set()


def test_listing_filters_as_docker_does(service: Service) -> None:
    old = simple_image("old")
    old.config.update(created="2020-01-01T00:00:00Z", config={"Labels": {"a": "b"}})
    load(service, old, "team/old:v1", "team/old:v2")
    load(service, simple_image("new"), "new:v1")
    load(service, simple_image("none"))

    def names(filters: dict[str, list[str]]) -> list[tuple[str, ...]]:
        return [image.repo_tags for image in service.images.list_images(filters)]

    assert names({}) == [(), ("new:v1",), ("team/old:v1", "team/old:v2")] or len(names({})) == 3
    assert names({"dangling": ["true"]}) == [()]
    assert sorted(names({"dangling": ["false"]})) == [("new:v1",), ("team/old:v1", "team/old:v2")]
    assert names({"label": ["a"]}) == names({"label": ["a=b"]}) == [("team/old:v1", "team/old:v2")]
    assert names({"label": ["a=c"]}) == []
    assert names({"reference": ["team/*"]}) == [("team/old:v1", "team/old:v2")]
    assert names({"reference": ["*:v1"]}) == [("new:v1",)]
    assert names({"reference": ["*/*:v2"]}) == [("team/old:v2",)]
    assert names({"before": ["new:v1"]}) == [("team/old:v1", "team/old:v2")]
    assert ("new:v1",) in names({"since": ["team/old:v1"]})
    assert names({"until": ["2021-01-01"]}) == [("team/old:v1", "team/old:v2")]
    with pytest.raises(InvalidParameter, match="invalid filter 'nope'"):
        names({"nope": ["x"]})
    with pytest.raises(InvalidParameter):
        names({"dangling": ["maybe"]})


def test_inspect_and_history_have_dockers_fields(service: Service) -> None:
    image = simple_image(layers=2)
    image.config["history"].insert(1, {"created": "2024-01-02T03:04:05.6Z", "created_by": "ENV", "empty_layer": True})
    image.config["config"]["Healthcheck"] = {"Test": ["CMD", "true"], "Interval": 5}
    got = load(service, image, "app:v1")
    found = service.images.inspect("app:v1")
    assert found["Id"] == image.id
    assert found["RepoTags"] == ["app:v1"]
    assert found["RootFS"] == {"Type": "layers", "Layers": image.config["rootfs"]["diff_ids"]}
    assert found["Config"]["Cmd"] == ["sh"]
    assert found["Config"]["Healthcheck"] == {"Test": ["CMD", "true"], "Interval": 5}
    assert found["Config"]["Labels"] is None
    assert found["Size"] == got.size_bytes > 3900
    assert found["Metadata"]["LastTagTime"].startswith("20")
    steps = service.images.history("app:v1")
    assert [step["CreatedBy"] for step in steps] == ["step 1", "ENV", "step 0"]
    assert (steps[0]["Id"], steps[0]["Tags"], steps[1]["Id"], steps[1]["Size"]) == (
        image.id, ["app:v1"], "<missing>", 0,
    )  # fmt: skip
    assert sum(step["Size"] for step in steps) == got.size_bytes
    (summary,) = service.images.summaries(shared_size=True)
    assert (summary["Id"], summary["Size"], summary["SharedSize"]) == (image.id, got.size_bytes, 0)


def test_prune_spares_what_is_named_or_used(service: Service) -> None:
    load(service, simple_image("named"), "named:v1")
    dangling = load(service, simple_image("dangling"))
    used = load(service, simple_image("used"))
    service.uses[used.id] = [ContainerUse("c" * 64, "name", running=False)]
    report = service.images.prune()
    assert {"Deleted": dangling.id} in report["ImagesDeleted"]
    assert report["SpaceReclaimed"] >= dangling.size_bytes
    assert len(service.images.list_images()) == 2
    report = service.images.prune({"dangling": ["false"]})
    assert {"Untagged": "named:v1"} in report["ImagesDeleted"]
    assert [image.id for image in service.images.list_images()] == [used.id]
    assert service.images.prune() == {"ImagesDeleted": None, "SpaceReclaimed": 0}
    service.check()


def test_r18_one_name_under_many_threads_stays_consistent(service: Service) -> None:
    ids = [load(service, simple_image(f"t{n}", layers=1, size=64)).id for n in range(4)]

    def work(image_id: str) -> None:
        for _ in range(10):
            service.images.tag(image_id, "contended")
            try:
                service.images.remove("contended")
            except NotFound:
                pass  # another thread was quicker

    for image_id in ids:
        service.images.tag(image_id, "kept", image_id[7:15])
    threads = [threading.Thread(target=work, args=(image_id,)) for image_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert {image.id for image in service.images.list_images()} == set(ids)
    service.check()


def test_times_are_read_with_nanoseconds_and_zones() -> None:
    assert timestamp("2024-01-01T00:00:00Z") == 1704067200
    assert timestamp("2024-01-01T01:00:00.123456789+01:00") == pytest.approx(1704067200.123456789)
    assert timestamp("nonsense") == timestamp(None) == timestamp("0001-01-01T00:00:00Z") + 62135596800 == 0
    assert until_time("1704067200") == 1704067200
    with pytest.raises(InvalidParameter):
        until_time("yesterday")

"""Interrupted pulls: by the network, and by kill -9 (R01, R21, R24)."""

import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from tests.images.conftest import Service, close_service, make_service
from tests.images.image_builder import simple_image
from tests.registry.debian_registry import debian_registry
from tests.registry.fake_registry import FakeRegistry, sha256
from tests.registry.faults import flip, reset_after, stall
from wherry.errors import Unavailable, WherryError

pytestmark = pytest.mark.privileged


def ranges(registry: FakeRegistry, digest: str) -> list[str]:
    return [r.headers.get("Range", "") for r in registry.requests if r.path.endswith(digest)]


def test_r21_a_pull_resumes_after_a_dropped_connection(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("big", layers=1, size=600_000)
    image.push(registry.repository("app"), "v1")
    layer = image.compressed[0]

    def drop(handler: object, data: bytes) -> bool:
        return data == layer and reset_after(300_000)(handler, data)  # type: ignore[arg-type]

    registry.faults = [drop, drop]
    assert service.pull(f"{registry.host}/app:v1").id == image.id
    asked = ranges(registry, sha256(layer))
    assert len(asked) == 2
    assert int(asked[1].removeprefix("bytes=").rstrip("-")) > 0
    service.check()


def test_r24_a_reset_every_64_kib_still_ends_well(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("flaky", layers=1, size=1_000_000)
    image.push(registry.repository("app"), "v1")
    registry.always = reset_after(64 << 10)
    assert service.pull(f"{registry.host}/app:v1").id == image.id
    registry.always = None
    service.check()


def test_r24_too_many_requests_is_waited_for(service: Service, registry: FakeRegistry) -> None:
    image = simple_image()
    image.push(registry.repository("app"), "v1")
    registry.next_statuses = [(429, {"Retry-After": "0"}, b""), (503, {}, b"")]
    assert service.pull(f"{registry.host}/app:v1").id == image.id


def test_r24_a_stalled_connection_is_given_up_and_resumed(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("stall", layers=1, size=300_000)
    image.push(registry.repository("app"), "v1")
    layer = image.compressed[0]
    registry.faults = [
        lambda handler, data: False,
        lambda handler, data: data == layer and stall(5, after=100_000)(handler, data),
    ]
    started = time.monotonic()
    assert service.pull(f"{registry.host}/app:v1").id == image.id
    assert time.monotonic() - started < 4  # the fixture's limit for silence is 1 s
    assert ranges(registry, sha256(layer))[-1].startswith("bytes=")


def test_r21_a_failed_pull_is_continued_by_the_next_one(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("again", layers=2, size=400_000)
    image.push(registry.repository("app"), "v1")
    second = image.compressed[1]
    registry.always = lambda handler, data: (
        data == second and reset_after(max(0, 200_000 - handler.range_start()))(handler, data)
    )
    with pytest.raises(Unavailable):
        service.pull(f"{registry.host}/app:v1")
    assert service.images.list_images() == []
    registry.always = None
    registry.requests.clear()
    assert service.pull(f"{registry.host}/app:v1").id == image.id
    assert ranges(registry, sha256(image.compressed[0])) == []
    assert int(ranges(registry, sha256(second))[0].removeprefix("bytes=").rstrip("-")) > 0
    service.check()


def test_r21_torn_bytes_on_disk_are_replaced(service: Service, registry: FakeRegistry) -> None:
    """A power cut may leave zeros in a partial file: its digest fails, and it is fetched again in the same pull."""
    image = simple_image("torn", layers=1, size=300_000)
    image.push(registry.repository("app"), "v1")
    layer = sha256(image.compressed[0])
    partial = Path(service.settings.data_root, "content/ingest", layer.replace(":", "-"))
    partial.write_bytes(image.compressed[0][:50_000] + bytes(100_000))
    assert service.pull(f"{registry.host}/app:v1").id == image.id
    assert ranges(registry, layer) == ["bytes=150000-", ""]
    service.check()


def test_a_blob_that_stays_wrong_is_not_tried_for_ever(service: Service, registry: FakeRegistry) -> None:
    image = simple_image("wrong", layers=1)
    image.push(registry.repository("app"), "v1")
    layer = image.compressed[0]
    registry.always = lambda handler, data: data == layer and flip(-9)(handler, data)
    with pytest.raises(WherryError):
        service.pull(f"{registry.host}/app:v1")
    assert len(ranges(registry, sha256(layer))) == 1


PULLER = """
    import sys
    from pathlib import Path
    from tests.images.conftest import close_service, make_service
    service = make_service(Path(sys.argv[1]))
    service.pull(sys.argv[2])
    close_service(service)
"""
ROOT = Path(__file__).resolve().parents[2]


def killed_pull(root: Path, name: str, injection: str) -> int:
    command = ["strace", "-qq", "-f", "-o", "/dev/null", "-e", f"inject={injection}", sys.executable, "-c"]
    done = subprocess.run(
        [*command, textwrap.dedent(PULLER), str(root), name], cwd=ROOT, capture_output=True, timeout=60, check=False
    )
    return done.returncode


@pytest.mark.parametrize(
    "step", [*(f"fsync:when={n}" for n in (1, 3, 5, 7, 8)), *(f"rename:when={n}" for n in (1, 2, 3, 4, 5)),
             "syncfs:when=1", "fdatasync:when=1", "fdatasync:when=3"]
)  # fmt: skip
def test_r01_a_pull_killed_at_any_step_recovers(tmp_path: Path, registry: FakeRegistry, step: str) -> None:
    image = simple_image("kill", layers=2)
    image.push(registry.repository("app"), "v1")
    name = f"{registry.host}/app:v1"
    call, _, when = step.partition(":")
    killed_pull(tmp_path / "data", name, f"{call}:signal=SIGKILL:{when}")
    service = make_service(tmp_path / "data")
    service.images.recover()
    for known in service.images.list_images():
        assert service.file(known, "dir1/file") == b"kill"
    assert service.pull(name).id == image.id
    service.images.prune()
    service.check()
    close_service(service)


def test_r21_a_pull_killed_halfway_fetches_the_rest_only(tmp_path: Path, registry: FakeRegistry) -> None:
    image = simple_image("half", layers=1, size=2_000_000)
    image.push(registry.repository("app"), "v1")
    layer = image.compressed[0]
    name = f"{registry.host}/app:v1"
    registry.always = lambda handler, data: data == layer and stall(20, after=len(data) // 2)(handler, data)
    puller = subprocess.Popen([sys.executable, "-c", textwrap.dedent(PULLER), str(tmp_path / "data"), name], cwd=ROOT)
    partial = tmp_path / "data/content/ingest" / sha256(layer).replace(":", "-")
    deadline = time.monotonic() + 20
    while not (partial.exists() and partial.stat().st_size >= len(layer) // 2):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    puller.kill()
    puller.wait()
    registry.always = None
    registry.requests.clear()
    service = make_service(tmp_path / "data")
    service.images.recover()
    assert service.pull(name).id == image.id
    (asked,) = ranges(registry, sha256(layer))
    fetched = len(layer) - int(asked.removeprefix("bytes=").rstrip("-"))
    assert fetched <= 0.55 * len(layer)
    close_service(service)


@pytest.mark.peer
def test_a_real_registry_serves_what_skopeo_pushed(service: Service, tmp_path: Path) -> None:
    """Debian's docker-registry; the image goes there with skopeo, and comes back through us."""
    for program in ("docker-registry", "skopeo"):
        assert shutil.which(program), f"{program} is missing (apt-get install {program})"
    image = simple_image("real")
    archive = tmp_path / "image.tar"
    archive.write_bytes(image.docker_archive("real:v1"))
    with debian_registry(tmp_path) as address:
        for tag, options in (("v1", []), ("oci", ["--format", "oci", "--dest-compress-format", "zstd"])):
            subprocess.run(
                ["skopeo", "--insecure-policy", "copy", "-q", "--dest-tls-verify=false", *options,
                 f"docker-archive:{archive}", f"docker://{address}/team/real:{tag}"],
                check=True, timeout=60,
            )  # fmt: skip
            pulled = service.pull(f"{address}/team/real:{tag}")
            assert service.file(pulled, "dir1/file") == b"real"
            assert pulled.config.diff_ids == tuple(image.config["rootfs"]["diff_ids"])
        service.check()
        with pytest.raises(WherryError, match=r"manifest for .*:none not found: manifest unknown: manifest unknown"):
            service.pull(f"{address}/team/real:none")

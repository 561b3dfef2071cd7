"""``docker cp`` between the host and containers that may be hostile."""

import io
import lzma
import os
import tarfile
import time
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, NotFound

pytestmark = pytest.mark.privileged


def tar_of(*members: tuple[str, bytes | str | None]) -> bytes:
    """Members: bytes for a file, a string for a symlink, None for a directory."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            if content is None:
                info.type, info.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(info)
            elif isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                tar.addfile(info)
            else:
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return out.getvalue()


def read_back(container: Any, path: str) -> dict[str, bytes | None]:
    stream, _ = container.get_archive(path)
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream))) as tar:
        return {m.name: (f.read() if (f := tar.extractfile(m)) else None) for m in tar.getmembers()}


@pytest.fixture(params=["running", "stopped"])
def container(client: docker.DockerClient, request: pytest.FixtureRequest) -> Any:
    made = client.containers.create("busybox", ["sleep", "60"], volumes=["cpdata:/data", "cpro:/ro:ro"])
    if request.param == "running":
        made.start()
    yield made
    made.remove(force=True)
    for name in ("cpdata", "cpro"):
        client.volumes.get(name).remove()


def test_files_go_in_and_come_out(container: Any) -> None:
    container.put_archive("/root", tar_of(("d", None), ("d/f", b"text" * 1000), ("link", "d/f")))
    assert read_back(container, "/root/d") == {"d": None, "d/f": b"text" * 1000}
    _, stat = container.get_archive("/root/link")
    assert stat["linkTarget"] == "/root/d/f"
    assert stat["mode"] & (1 << 27)


def test_volumes_are_seen_running_or_not(container: Any) -> None:
    container.put_archive("/data", tar_of(("f", b"in the volume")))
    assert read_back(container, "/data/f") == {"f": b"in the volume"}
    with pytest.raises(APIError, match="marked read-only"):
        container.put_archive("/ro", tar_of(("f", b"x")))


def test_what_is_not_there(container: Any) -> None:
    with pytest.raises(NotFound, match="Could not find the file /nosuch in container"):
        container.get_archive("/nosuch")
    with pytest.raises(NotFound, match="Could not find the file /nosuch"):
        container.put_archive("/nosuch", tar_of(("f", b"x")))


def test_s20_s21_what_a_tar_says_stays_in_its_directory(container: Any, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    hostile = [
        tar_of(("../../../../../../../../" + str(victim) + "/x", b"x")),
        tar_of(("out", str(victim)), ("out/x", b"x")),
        tar_of(("out", "../../../../../../../.." + str(victim)), ("out/x", b"x")),
    ]
    for archive in hostile:
        try:
            container.put_archive("/root", archive)
        except APIError as refused:
            assert refused.status_code in (400, 404, 500)
    assert os.listdir(victim) == []


def test_s69_a_symlink_in_the_container_does_not_lead_out(client: docker.DockerClient, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").write_text("host only", encoding="utf-8")
    container = client.containers.run(
        "busybox", ["sh", "-c", f"ln -s {secret} /out; ln -s /proc/1/root/{secret} /magic; sleep 60"], detach=True
    )
    time.sleep(0.3)
    for path in ("/out/key", "/out/.", "/magic/key"):
        with pytest.raises(NotFound):
            container.get_archive(path)
    with pytest.raises(NotFound):
        container.put_archive("/out/", tar_of(("planted", b"x")))
    assert os.listdir(secret) == ["key"]


def test_s69_a_racing_exchange_never_leads_out(client: docker.DockerClient, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    (victim / "canary").write_text("host", encoding="utf-8")
    swap = (
        f"mkdir -p /w/real; echo guest > /w/real/canary; ln -s {victim} /w/link; cp -a /w/real /w/at;"
        "while :; do mv /w/at /w/tmp; mv /w/link /w/at; mv /w/at /w/link; mv /w/tmp /w/at; done"
    )
    container = client.containers.run("busybox", ["sh", "-c", swap], detach=True)
    time.sleep(0.3)
    deadline = time.monotonic() + 3
    seen = 0
    while time.monotonic() < deadline:
        try:
            found = read_back(container, "/w/at/canary")
            assert found == {"canary": b"guest\n"}
            container.put_archive("/w/at/", tar_of(("planted", b"x")))
            seen += 1
        except (NotFound, APIError):
            continue  # the name was a link, or nothing, at that moment
    assert seen > 0
    assert os.listdir(victim) == ["canary"]
    assert (victim / "canary").read_text(encoding="utf-8") == "host"


def test_s70_nothing_of_the_container_is_run_to_unpack(client: docker.DockerClient) -> None:
    fake = "printf '#!/bin/sh\\ntouch /pwned\\n' > /$d/$p.new; chmod +x /$d/$p.new; mv /$d/$p.new /$d/$p"
    script = f"for p in xz unxz gzip tar; do for d in bin usr/bin; do mkdir -p /$d; {fake}; done; done; sleep 60"
    container = client.containers.run("busybox", ["sh", "-c", script], detach=True)
    time.sleep(0.5)
    container.put_archive("/root", lzma.compress(tar_of(("f", b"unpacked"))))
    assert read_back(container, "/root/f") == {"f": b"unpacked"}
    assert container.exec_run("ls /pwned").exit_code != 0


def test_s27_a_fifo_where_a_file_was_does_not_stop_the_engine(client: docker.DockerClient) -> None:
    container = client.containers.run("busybox", ["sh", "-c", "mkdir /d; mkfifo /d/pipe; sleep 60"], detach=True)
    time.sleep(0.3)
    began = time.monotonic()
    assert read_back(container, "/d") == {"d": None, "d/pipe": None}
    assert time.monotonic() - began < 1


def test_export_is_the_image_with_the_changes_and_without_mounts(client: docker.DockerClient) -> None:
    for run in (True, False):
        container = client.containers.create(
            "busybox", ["sh", "-c", "echo x > /made; sleep 60"], volumes=["expdata:/data"]
        )
        container.start()
        time.sleep(0.3)
        container.exec_run("sh -c 'echo v > /data/in-volume'")
        if not run:
            container.stop(timeout=0)
        with tarfile.open(fileobj=io.BytesIO(b"".join(container.export()))) as tar:
            names = set(tar.getnames())
            made = tar.extractfile("made")
            assert made is not None
            assert made.read() == b"x\n"
        assert "bin/busybox" in names
        assert "data/in-volume" not in names
        assert not any(name.startswith("proc/") for name in names)
        container.remove(force=True)
    client.volumes.get("expdata").remove()

"""docker-py drives our engine, high-level API and low-level API."""

import io
import socket
import tarfile
import threading
import time
from typing import Any

import docker
import pytest
import requests
from docker.errors import APIError, ContainerError, ImageNotFound, NotFound
from docker.types import Mount, Ulimit

from tests.engine_under_test import EngineUnderTest

pytestmark = [
    pytest.mark.privileged,
    pytest.mark.peer,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),  # docker-py's own
]


def test_run_returns_the_output(sdk: docker.DockerClient) -> None:
    assert sdk.containers.run("busybox", ["echo", "hello"], remove=True) == b"hello\n"
    assert sdk.containers.list(all=True) == []


def test_a_failing_run_raises_with_its_exit_status(sdk: docker.DockerClient) -> None:
    with pytest.raises(ContainerError) as caught:
        sdk.containers.run("busybox", ["sh", "-c", "echo bad >&2; exit 3"], remove=True)
    assert caught.value.exit_status == 3
    assert caught.value.stderr == b"bad\n"


def test_errors_have_dockerpys_types(sdk: docker.DockerClient) -> None:
    with pytest.raises(NotFound, match="No such container: nobody"):
        sdk.containers.get("nobody")
    with pytest.raises(ImageNotFound):
        sdk.images.get("no-such-image")
    with pytest.raises(ImageNotFound):
        sdk.api.create_container("127.0.0.1:1/no-such-image")
    with pytest.raises(APIError) as caught:
        sdk.api.create_container("busybox", host_config=sdk.api.create_host_config(mem_limit=1024))
    assert caught.value.response.status_code == 400


def test_a_containers_life(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run("busybox", ["sleep", "60"], detach=True, name="life", labels={"tier": "test"})
    assert container.status == "created"
    container.reload()
    assert container.status == "running"
    assert [found.id for found in sdk.containers.list(filters={"label": "tier=test"})] == [container.id]
    container.pause()
    container.unpause()
    container.rename("renamed")
    container.update(mem_limit="64m", memswap_limit="64m")
    container.stop(timeout=0)
    assert container.wait()["StatusCode"] == 137
    container.start()
    container.kill()
    assert container.wait(condition="not-running")["StatusCode"] == 137
    container.remove()


def test_wait_times_out_on_the_clients_side(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run("busybox", ["sleep", "60"], detach=True)
    with pytest.raises((requests.exceptions.ReadTimeout, requests.exceptions.ConnectionError)):
        container.wait(timeout=0.5)


def test_options_reach_the_container(sdk: docker.DockerClient) -> None:
    output = sdk.containers.run(
        "busybox", ["sh", "-c", "ulimit -n; cat /proc/sys/net/core/somaxconn; mount | grep -c ' /t '; cat /etc/hosts"],
        remove=True, ulimits=[Ulimit(name="nofile", soft=100, hard=200)], sysctls={"net.core.somaxconn": "77"},
        mounts=[Mount("/t", None, type="tmpfs", tmpfs_size=1 << 20)], extra_hosts={"boat": "10.1.2.3"},
    )  # fmt: skip
    lines = output.decode().split("\n")
    assert lines[:3] == ["100", "77", "1"]
    assert any(line.split() == ["10.1.2.3", "boat"] for line in lines)


def test_logs_in_pieces_and_as_a_stream(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run("busybox", ["sh", "-c", "echo one; sleep 0.5; echo two >&2"], detach=True)
    assert b"".join(container.logs(stream=True, follow=True)) == b"one\ntwo\n"
    assert container.logs(stdout=True, stderr=False) == b"one\n"
    assert container.logs(tail=1) == b"two\n"
    assert [line.split(b" ", 1)[1] for line in container.logs(timestamps=True).splitlines()] == [b"one", b"two"]


def test_attach_gets_frames_of_both_streams(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create("busybox", ["sh", "-c", "echo out; echo err >&2"])
    stream = container.attach(stream=True, demux=True)
    container.start()
    assert sorted(stream, key=str) == [(None, b"err\n"), (b"out\n", None)]


def test_an_attached_socket_takes_stdin_and_half_close(sdk: docker.DockerClient) -> None:
    # docker-py sets StdinOnce with stdin_open, unless it runs detached.
    container = sdk.containers.create("busybox", ["sh", "-c", "cat; echo end"], stdin_open=True, tty=False)
    attached = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    assert _talk(attached, b"typed\n") == b"typed\nend\n"


def _talk(attached: Any, data: bytes) -> bytes:
    """Send, half-close, and read the payloads of all frames."""
    raw = attached._sock
    with raw, attached:
        raw.sendall(data)
        raw.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: raw.recv(4096), b""))
    payload = b""
    while received:
        size = int.from_bytes(received[4:8], "big")
        assert received[:4] == b"\x01\0\0\0"
        payload, received = payload + received[8 : 8 + size], received[8 + size :]
    return payload


def test_exec_run(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run("busybox", ["sleep", "60"], detach=True)
    assert container.exec_run(["sh", "-c", "echo out; exit 4"]) == (4, b"out\n")
    result = container.exec_run(["sh", "-c", "echo out; echo err >&2"], demux=True)
    assert result.output == (b"out\n", b"err\n")
    assert container.exec_run(["id", "-u"], user="7").output == b"7\n"
    assert b"".join(container.exec_run(["sh", "-c", "echo a; echo b"], stream=True).output) == b"a\nb\n"
    code, attached = container.exec_run(["cat"], stdin=True, socket=True)
    assert code is None
    assert _talk(attached, b"x") == b"x"
    tty = sdk.api.exec_create(container.id, ["tty"], tty=True)["Id"]
    assert sdk.api.exec_start(tty, tty=True).startswith(b"/dev/pts/")
    inspected = sdk.api.exec_inspect(tty)
    assert (inspected["ExitCode"], inspected["Running"]) == (0, False)


def test_archives_in_and_out(sdk: docker.DockerClient) -> None:
    container = sdk.containers.create("busybox", ["cat", "/tmp/f"])
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo("f")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    assert container.put_archive("/tmp", out.getvalue())
    chunks, stat = container.get_archive("/tmp/f")
    assert (stat["name"], stat["size"]) == ("f", 5)
    with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
        file = tar.extractfile("f")
        assert file is not None
        assert file.read() == b"hello"
    with pytest.raises(NotFound):
        container.get_archive("/nothing")


def test_top_stats_and_diff(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run("busybox", ["sh", "-c", "touch /x; sleep 60"], detach=True)
    time.sleep(0.3)
    assert any("sleep 60" in process[-1] for process in container.top()["Processes"])
    assert {"Path": "/x", "Kind": 1} in container.diff()
    stats = container.stats(stream=False)
    assert stats["cpu_stats"]["cpu_usage"]["total_usage"] > 0
    assert stats["memory_stats"]["usage"] > 0
    stream = container.stats(stream=True, decode=True)
    assert next(stream)["id"] == container.id
    stream.close()


def test_events_while_they_happen(sdk: docker.DockerClient) -> None:
    events = sdk.events(decode=True, filters={"type": "container", "event": ["create", "start", "die"]})
    seen: list[str] = []

    def listen() -> None:
        for event in events:
            seen.append(event["Action"])
            if event["Action"] == "die":
                return

    listener = threading.Thread(target=listen)
    listener.start()
    time.sleep(0.3)
    sdk.containers.run("busybox", ["true"], remove=True)
    listener.join(10)
    events.close()
    assert seen == ["create", "start", "die"]


def test_images(sdk: docker.DockerClient) -> None:
    image = sdk.images.get("busybox")
    assert "busybox:latest" in image.tags
    assert image.tag("copied", tag="1")
    assert "copied:1" in [tag for found in sdk.images.list() for tag in found.tags]
    assert image.history()
    sdk.images.remove("copied:1")
    assert sdk.images.list(name="copied") == []


def test_pull_by_the_api(sdk: docker.DockerClient, published_image: str) -> None:
    repository, _, tag = published_image.rpartition(":")
    image = sdk.images.pull(repository, tag=tag)
    assert sdk.containers.run(image.id, remove=True) == b"hello from the registry\n"
    data = sdk.images.get_registry_data(published_image)
    assert data.id.startswith("sha256:")
    assert data.attrs["Platforms"]
    sdk.images.remove(image.id, force=True)


def test_volumes_and_networks(sdk: docker.DockerClient) -> None:
    volume = sdk.volumes.create("data", labels={"a": "b"})
    assert volume.attrs["Labels"] == {"a": "b"}
    assert [found.name for found in sdk.volumes.list(filters={"label": "a=b"})] == ["data"]
    sdk.containers.run("busybox", ["touch", "/d/x"], remove=True, volumes={"data": {"bind": "/d", "mode": "rw"}})
    volume.remove()
    assert sorted(network.name for network in sdk.networks.list()) == ["bridge", "host", "none"]
    with pytest.raises(NotFound, match="network nowhere not found"):
        sdk.networks.get("nowhere")


def test_the_engine(sdk: docker.DockerClient) -> None:
    assert sdk.ping()
    assert sdk.version()["ApiVersion"] == "1.51"
    assert sdk.info()["OSType"] == "linux"
    assert set(sdk.df()) >= {"Images", "Containers", "Volumes"}
    assert sdk.containers.prune() == {"ContainersDeleted": None, "SpaceReclaimed": 0}
    with pytest.raises(APIError) as caught:
        sdk.api.nodes()
    assert caught.value.response.status_code == 503


@pytest.mark.parametrize("version", ["1.24", "1.30", "1.41", "1.44", "1.51", "auto"])
def test_every_version_of_the_api_that_clients_speak(
    engine: EngineUnderTest, sdk: docker.DockerClient, version: str
) -> None:
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", version=version, timeout=30)
    assert client.containers.run("busybox", ["echo", version], remove=True) == f"{version}\n".encode()
    client.close()


def test_a_wait_ends_with_an_exit_although_the_policy_starts_it_again(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run(
        "busybox", ["sh", "-c", "sleep 1; exit 7"], detach=True, restart_policy={"Name": "always"}
    )
    assert container.wait(timeout=20)["StatusCode"] == 7
    container.remove(force=True)


def test_the_start_of_an_exec_says_whether_its_output_is_framed(sdk: docker.DockerClient) -> None:
    container = sdk.containers.run("busybox", ["sleep", "60"], detach=True)
    on_a_terminal = sdk.api.exec_create(container.id, ["sh", "-c", "test -t 1 && echo x"], tty=True)
    assert sdk.api.exec_start(on_a_terminal, tty=False, demux=True) == (b"x\r\n", None)
    plain = sdk.api.exec_create(container.id, ["echo", "y"], tty=False)
    assert sdk.api.exec_start(plain, tty=True) == b"y\n"


def test_members_are_known_in_any_case(sdk: docker.DockerClient) -> None:
    body = {
        "image": "busybox",
        "cmd": ["true"],
        "LABELS": {"Kept": "1", "kept": "2"},
        "hostconfig": {"autoremove": True},
    }
    answer = sdk.api._post_json(sdk.api._url("/containers/create"), data=body)
    made = sdk.containers.get(answer.json()["Id"])
    assert made.attrs["HostConfig"]["AutoRemove"] is True
    assert made.labels == {"Kept": "1", "kept": "2"}


def test_a_broken_archive_is_told_in_the_answer(sdk: docker.DockerClient) -> None:
    with pytest.raises(docker.errors.ImageLoadError):
        sdk.images.load(b"no archive")


def test_a_committed_image_tells_of_its_container_until_1_44(
    sdk: docker.DockerClient, engine: EngineUnderTest
) -> None:
    container = sdk.containers.run("busybox", ["true"], detach=True)
    image = container.commit()
    assert "Container" not in image.attrs
    old = docker.APIClient(base_url=f"unix://{engine.socket}", version="1.44", timeout=30)
    attrs = old.inspect_image(image.id)
    old.close()
    assert attrs["Container"] == container.id
    assert attrs["ContainerConfig"]["Image"] == "busybox"
    container.remove(force=True)
    image.remove()

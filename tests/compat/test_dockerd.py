"""``wherry`` as a client of a real dockerd: by ``-H``, by WHERRY_HOST and by a context."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parity.dockerd import Dockerd

pytestmark = [pytest.mark.privileged, pytest.mark.peer]
_WHERRY = str(Path(sys.executable).parent / "wherry")


class Remote:
    """A dockerd and our CLI, whose own engine is nowhere."""

    def __init__(self) -> None:
        self.dockerd = Dockerd("--bridge=none", "--iptables=false")
        self.address = f"unix://{self.dockerd.socket}"
        self.root = tempfile.mkdtemp(prefix="whr-", dir="/tmp")
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": self.root, "DOCKER_CONFIG": f"{self.root}/docker",
            "WHERRY_RUN_ROOT": f"{self.root}/run", "WHERRY_DATA_ROOT": f"{self.root}/data",
        }  # fmt: skip

    def wherry(self, *arguments: str, stdin: bytes = b"", **environ: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [_WHERRY, *arguments], input=stdin, capture_output=True, timeout=60, check=False,
            env=self.environ | environ,
        )  # fmt: skip

    def there(self, *arguments: str, stdin: bytes = b"") -> str:
        done = self.wherry("-H", self.address, *arguments, stdin=stdin)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()


@pytest.fixture(scope="module")
def remote(busybox_tar: Path) -> Iterator[Remote]:
    remote = Remote()
    try:
        remote.there("import", "--change", 'CMD ["sh"]', str(busybox_tar), "busybox")
        yield remote
    finally:
        remote.dockerd.stop()
        shutil.rmtree(remote.root, ignore_errors=True)


def test_the_everyday_commands(remote: Remote, tmp_path: Path) -> None:
    there = remote.there
    assert there("run", "--rm", "-i", "busybox", "cat", stdin=b"in\n") == "in\n"
    assert remote.wherry("-H", remote.address, "run", "--rm", "busybox", "sh", "-c", "exit 9").returncode == 9
    there("run", "-d", "--name", "web", "busybox", "sh", "-c", "echo hello; exec sleep 60")
    assert there("ps", "--format", "{{.Names}} {{.Image}}") == "web busybox\n"
    assert there("logs", "web") == "hello\n"
    assert there("exec", "-i", "web", "wc", "-c", stdin=b"1234").strip() == "4"
    assert there("top", "web").splitlines()[0].split()[0] == "UID"
    assert there("inspect", "-f", "{{.State.Status}}", "web") == "running\n"
    (tmp_path / "file").write_text("content")
    there("cp", str(tmp_path / "file"), "web:/tmp/file")
    assert there("exec", "web", "cat", "/tmp/file") == "content"
    assert "/tmp/file" in there("diff", "web")
    assert there("images", "--format", "{{.Repository}}:{{.Tag}}") == "busybox:latest\n"
    archive = tmp_path / "image.tar"
    there("save", "-o", str(archive), "busybox")
    assert "Loaded image: busybox:latest" in there("load", "-i", str(archive))
    there("volume", "create", "vol1")
    assert there("volume", "ls", "-q") == "vol1\n"
    assert "start" in there("events", "--since", "10m", "--until", "0s", "--format", "{{.Action}}")
    assert there("version", "--format", "{{.Server.Version}}").startswith("20.")
    there("info")
    assert there("system", "df").splitlines()[0].startswith("TYPE")
    there("rm", "-f", "web")
    assert "Deleted Volumes" in there("volume", "prune", "-f") or there("volume", "ls", "-q") == "vol1\n"


def test_the_environment_and_contexts_lead_there(remote: Remote) -> None:
    assert remote.wherry("images", "-q", WHERRY_HOST=remote.address).stdout
    assert remote.wherry("images", "-q", DOCKER_HOST=remote.address).stdout
    assert remote.wherry("context", "create", "there", "--docker", f"host={remote.address}").returncode == 0
    assert remote.wherry("--context", "there", "images", "-q").stdout
    assert remote.wherry("images", "-q", DOCKER_CONTEXT="there").stdout
    remote.wherry("context", "use", "there")
    assert remote.wherry("images", "-q").stdout
    remote.wherry("context", "use", "default")


def test_a_dockerd_that_is_not_there_is_not_started(remote: Remote) -> None:
    refused = remote.wherry("-H", "unix:///tmp/no.sock", "ps")
    assert refused.returncode == 1
    assert refused.stderr.startswith(b"Cannot connect to the Docker daemon at unix:///tmp/no.sock")
    assert not os.path.exists(f"{remote.root}/run")

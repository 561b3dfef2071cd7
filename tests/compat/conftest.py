"""Real clients and a real registry beside the engine under test."""

import gc
import os
import re
import shutil
import signal
import subprocess
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import docker
import pytest

from tests.compat.oci_layout import write_layout
from tests.engine_under_test import EngineUnderTest
from tests.registry.debian_registry import debian_registry

DOCKER = ("docker",)


@cache
def docker_major() -> int:
    """Of the docker client on this machine, whichever it is: Debian 12 has 20, Debian 13 has 26."""
    program = shutil.which("docker")
    assert program is not None, "the docker CLI is not installed"
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    found = re.search(r"version (\d+)", shown)
    assert found is not None, shown
    return int(found[1])


class DockerCli:
    """The docker CLI in the background, against one engine."""

    def __init__(self, engine: EngineUnderTest) -> None:
        self.engine = engine
        self.major = docker_major()
        self._running: list[subprocess.Popen[bytes]] = []

    def __call__(
        self, *arguments: str, check: bool = True, stdin: bytes | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return self.engine.docker(*arguments, check=check, stdin=stdin)

    def out(self, *arguments: str, stdin: bytes | None = None) -> str:
        """A command's standard output without the line end."""
        return self(*arguments, stdin=stdin).stdout.removesuffix("\n")

    def start(self, *arguments: str, terminal: int | None = None) -> subprocess.Popen[bytes]:
        """Begin a command; with ``terminal`` that descriptor is its stdin, stdout and stderr."""
        command = [*DOCKER, "-H", f"unix://{self.engine.socket}", *arguments]
        if terminal is None:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=self.engine.environment,
            )  # fmt: skip
        else:
            process = subprocess.Popen(
                command, stdin=terminal, stdout=terminal, stderr=terminal, env=self.engine.environment,
                start_new_session=True,
            )  # fmt: skip
        self._running.append(process)
        return process

    def end(self) -> None:
        """End what still runs, and remove every container."""
        for process in self._running:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait(10)
            for stream in (process.stdin, process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        left = self.out("ps", "-aq").split()
        if left:
            self("rm", "-f", "-v", *left)


@pytest.fixture
def cli(engine: EngineUnderTest) -> Iterator[DockerCli]:
    """The real docker CLI; the test's containers go at its end."""
    runner = DockerCli(engine)
    yield runner
    runner.end()
    assert "Traceback" not in engine.log(), engine.log()


@pytest.fixture
def sdk(engine: EngineUnderTest) -> Iterator[docker.DockerClient]:
    """docker-py, the way its users make it; the test's containers go at its end."""
    client = docker.DockerClient(base_url=f"unix://{engine.socket}", timeout=30)
    yield client
    for container in client.containers.list(all=True):
        container.remove(force=True, v=True)
    client.close()
    with warnings.catch_warnings():
        # docker-py leaves the sockets of exec and attach to the collector: here, and not in a later test.
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert "Traceback" not in engine.log(), engine.log()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Debian's docker-registry on a loopback port: ``127.0.0.1:port``."""
    with debian_registry(tmp_path_factory.mktemp("registry")) as address:
        yield address


@pytest.fixture(scope="module")
def published_image(registry: str, busybox_tar: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """``<registry>/busybox:1`` with two layers, put there by skopeo from an OCI layout."""
    layout = tmp_path_factory.mktemp("layout")
    write_layout(layout, busybox_tar)
    reference = f"{registry}/busybox:1"
    subprocess.run(
        ["skopeo", "copy", "--dest-tls-verify=false", f"oci:{layout}:image", f"docker://{reference}"],
        check=True, capture_output=True, timeout=60, env={**os.environ, "HOME": str(layout)},
    )  # fmt: skip
    return reference

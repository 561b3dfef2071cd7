"""The lines that everybody knows from Docker's documentation, with ``wherry`` in the place of ``docker``: against the
same engine both programs print the same, word for word."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest
from wherry import Client

pytestmark = [pytest.mark.privileged, pytest.mark.peer]

_LINES = (
    "yes n | PROG system prune",
    "PROG system prune </dev/null",
    "yes n | PROG system prune -a --volumes",
    "yes n | PROG system prune --filter label=a --filter until=1h",
    "yes n | PROG container prune",
    "yes n | PROG image prune",
    "yes n | PROG image prune -a",
    "yes n | PROG volume prune",
    "yes n | PROG volume prune -a",
    "yes n | PROG network prune",
    "yes yes | PROG image prune -a",
    "PROG container stop $(PROG container ls -aq)",
    "PROG rm $(PROG container ls -aq)",
    "PROG rm -f $(PROG ps -aq)",
    "PROG rmi $(PROG images -a -q)",
    "yes y | PROG container prune",
    "yes Y | PROG volume prune",
    "PROG volume rm $(PROG volume ls -q)",
    "PROG rm -f $(PROG ps -aq); PROG rmi $(PROG images -a -q)",
    "yes y | PROG system prune",
    "yes y | PROG system prune -a --volumes",
)


class Programs:
    """docker and wherry on one engine, which is made anew before each line."""

    def __init__(self, engine: EngineUnderTest, tar: Path) -> None:
        self._engine = engine
        self._tar = tar
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environ = {**engine.environment, "PATH": path, "DOCKER_HOST": f"unix://{engine.socket}"}

    def prepare(self) -> None:
        """Over the API: a program's start costs more than all of this."""
        with Client(f"unix://{self._engine.socket}") as client:

            def post(path: str, body: object = None, **query: str) -> dict[str, str]:
                answer = client.transport.request("POST", path, query=query, body=body).read()
                return dict(json.loads(answer)) if answer.startswith(b"{") else {}

            def create(image: str, name: str = "", **config: object) -> str:
                return post("/containers/create", {"Image": image, **config}, **({"name": name} if name else {}))[
                    "Id"
                ]

            for container in client.containers.list(all=True):
                client.transport.request("DELETE", f"/containers/{container['Id']}", query={"force": "1", "v": "1"})
            post("/images/prune", filters='{"dangling":["false"]}')
            post("/volumes/prune", filters='{"all":["1"]}')
            for tag in ("old", "dangling", "latest"):
                query = {"fromSrc": "-", "repo": "busybox", "changes": 'CMD ["sh"]'}
                with self._tar.open("rb") as tar:
                    client.transport.request(
                        "POST", "/images/create", query=query, content=iter(lambda: tar.read(1 << 20), b"")
                    ).read()
                if tag == "old":
                    post("/images/busybox/tag", repo="busybox", tag="old")
            post(f"/containers/{create('busybox', 'one', Cmd=['true'])}/start")
            post("/containers/one/wait")
            create("busybox", "two", Cmd=["sleep", "600"], StopSignal="SIGKILL")
            post("/containers/two/start")
            create("busybox:old", "three", Volumes={"/data": {}})
            post("/volumes/create", {"Name": "named"})
            client.transport.request("DELETE", f"/containers/{create('busybox', Volumes={'/data': {}})}")

    def run(self, program: str, line: str) -> tuple[str, str, int]:
        done = subprocess.run(
            ["bash", "-c", line.replace("PROG", program)], capture_output=True, text=True, timeout=60, check=False,
            env=self._environ,
        )  # fmt: skip
        return _plain(done.stdout), _plain(done.stderr), done.returncode


def _plain(text: str) -> str:
    """Without ids and without the program's name."""
    text = re.sub(r"\b[0-9a-f]{64}\b", "<long id>", text)
    return re.sub(r"\b[0-9a-f]{12}\b", "<id>", text).replace("wherry", "docker")


def test_the_old_snippets_print_what_docker_prints(fresh_engine: EngineUnderTest, busybox_tar: Path) -> None:
    programs = Programs(fresh_engine, busybox_tar)
    programs.prepare()
    for line in _LINES:
        printed = []
        for program in ("wherry", "docker"):
            printed.append(programs.run(program, line))
            if not line.startswith("yes n"):
                programs.prepare()
        assert printed[0] == printed[1], line
    warning = programs.run("wherry", "yes n | PROG system prune")[0]
    assert warning == (
        "WARNING! This will remove:\n"
        "  - all stopped containers\n"
        "  - all networks not used by at least one container\n"
        "  - all dangling images\n"
        "  - unused build cache\n"
        "\n"
        "Are you sure you want to continue? [y/N] "
    )

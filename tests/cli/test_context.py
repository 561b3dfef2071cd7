"""Contexts: one store, and the docker CLI and wherry read what the other wrote."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.certificates import Authority
from wherry.client.address import find_address
from wherry.errors import WherryError

_WHERRY = str(Path(sys.executable).parent / "wherry")


class Both:
    """The two command lines on one store; each call gives stdout, stderr and the exit code."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.environ = {
            "PATH": os.environ["PATH"], "HOME": str(folder), "DOCKER_CONFIG": str(folder / "config"),
            "WHERRY_RUN_ROOT": "/var/run/none", **environment,
        }  # fmt: skip

    def run(self, program: str, *arguments: str) -> tuple[str, str, int]:
        done = subprocess.run(
            [program, *arguments], capture_output=True, text=True, timeout=30, check=False, env=self.environ
        )
        return done.stdout, done.stderr.replace("docker", "wherry"), done.returncode

    def docker(self, *arguments: str) -> tuple[str, str, int]:
        return self.run("docker", "context", *arguments)

    def wherry(self, *arguments: str) -> tuple[str, str, int]:
        return self.run(_WHERRY, "context", *arguments)


_SCRIPT = (
    "create one --description first --docker host=unix:///tmp/a.sock",
    "create one --docker host=unix:///tmp/b.sock",
    "create default",
    "create x",
    "create two --docker host=tcp://127.0.0.1:2376,skip-tls-verify=true,ca={ca}",
    "create three --docker nonsense=1",
    "create three --docker ca={ca}.missing",
    "create three --from one",
    "create four --docker from=one",
    "create five --docker host=tcp://127.0.0.1:1,ca={ca}.broken",
    "ls -q",
    "ls --format {{{{.Name}}}}|{{{{.Description}}}}|{{{{.Current}}}}|{{{{.Error}}}}",
    "inspect two",
    "inspect four nope",
    "inspect one -f {{{{.Name}}}}:{{{{.Endpoints.docker.Host}}}}",
    "use nope",
    "use one",
    "show",
    "ls -q",
    "rm one",
    "update one --description second",
    "update nope",
    "update default",
    "inspect one",
    "rm -f one nope",
    "show",
    "rm two three nope default",
    "ls -q",
    "use default",
)


@pytest.mark.peer
def test_the_same_commands_print_what_docker_prints(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority").certificate
    (tmp_path / "authority/ca.pem.broken").write_text("no certificate")
    ours, theirs = Both(tmp_path / "ours"), Both(tmp_path / "theirs")
    for line in _SCRIPT:
        words = line.format(ca=authority).split(" ")
        printed = [
            tuple(str(part).replace(str(tmp_path / name), "HOME") for part in side)
            for name, side in (("ours", ours.wherry(*words)), ("theirs", theirs.docker(*words)))
        ]
        assert printed[0] == printed[1], line
    stores = [
        sorted(
            (str(path.relative_to(tmp_path / name)), path.read_bytes(), path.stat().st_mode & 0o077)
            for path in (tmp_path / name).rglob("*.*")
            if path.is_file() and path.suffix == ".pem"
        )
        for name in ("ours", "theirs")
    ]
    assert stores[0] == stores[1]


@pytest.mark.peer
def test_each_program_reads_what_the_other_wrote(tmp_path: Path) -> None:
    both = Both(tmp_path)
    both.wherry("create", "mine", "--description", "by wherry", "--docker", "host=unix:///tmp/mine.sock")
    both.docker("create", "yours", "--description", "by docker", "--docker", "host=tcp://127.0.0.1:1")
    both.docker("use", "mine")
    assert both.wherry("ls") == both.wherry("list")
    listed = both.docker("ls", "--format", "{{.Name}} {{.Description}} {{.DockerEndpoint}} {{.Current}}")
    assert (
        both.wherry("ls", "--format", "{{.Name}} {{.Description}} {{.DockerEndpoint}} {{.Current}}")[0].splitlines()[
            1:
        ]
        == listed[0].splitlines()[1:]
    )
    assert json.loads(both.wherry("inspect", "yours")[0]) == json.loads(both.docker("inspect", "yours")[0])
    assert both.wherry("show") == both.docker("show") == ("mine\n", "", 0)
    refused = both.run(_WHERRY, "ps")
    assert refused == both.run("docker", "ps")
    assert both.run(_WHERRY, "--context", "yours", "ps")[1].startswith(
        "Cannot connect to the Docker daemon at tcp://127.0.0.1:1."
    )
    assert both.run(_WHERRY, "--context", "none", "ps") == both.run("docker", "--context", "none", "ps")
    assert both.run(_WHERRY, "-H", "unix:///x", "--context", "yours", "ps") == both.run(
        "docker", "-H", "unix:///x", "--context", "yours", "ps"
    )


def test_the_order_of_what_chooses_the_engine(tmp_path: Path) -> None:
    both = Both(tmp_path)
    for name in ("stored", "named", "chosen"):
        both.wherry("create", name, "--docker", f"host=unix:///{name}")
    both.wherry("use", "stored")
    environ = dict(both.environ)
    assert find_address("", environ).path == "/stored"
    environ["DOCKER_CONTEXT"] = "named"
    assert find_address("", environ).path == "/named"
    environ["DOCKER_HOST"] = "unix:///docker-host"
    assert find_address("", environ).path == "/docker-host"
    environ["WHERRY_HOST"] = "unix:///wherry-host"
    assert find_address("", environ).path == "/wherry-host"
    assert find_address("", environ, context="chosen").path == "/chosen"
    assert find_address("unix:///option", environ).path == "/option"
    assert find_address("", environ, context="default").own
    with pytest.raises(WherryError, match='context "none": context not found'):
        find_address("", environ, context="none")


def test_a_contexts_certificates_are_used(tmp_path: Path) -> None:
    both = Both(tmp_path)
    authority = Authority(tmp_path / "authority")
    certificate, key = authority.issue("client")
    endpoint = f"host=tcp://h:1,ca={authority.certificate},cert={certificate},key={key}"
    assert both.wherry("create", "secure", "--docker", endpoint) == (
        "secure\n",
        'Successfully created context "secure"\n',
        0,
    )
    tls = find_address("", both.environ, context="secure").tls
    assert tls is not None and tls.verify
    stored = [Path(path).read_text() for path in (tls.authority, tls.certificate, tls.key)]
    assert stored == [path.read_text() for path in (authority.certificate, certificate, key)]

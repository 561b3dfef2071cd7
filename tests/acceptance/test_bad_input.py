"""What a user does wrong gets Docker's message and exit code, and leaves nothing behind."""

import gzip
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged


@pytest.fixture(autouse=True)
def nothing_left(engine: EngineUnderTest) -> Iterator[None]:
    """After every test: no container, no image more than before."""
    before = engine.wherry("images", "-aq", "--no-trunc").stdout
    yield
    assert engine.wherry("ps", "-aq").stdout == ""
    assert engine.wherry("images", "-aq", "--no-trunc").stdout == before


def test_an_unknown_image_that_no_registry_has(engine: EngineUnderTest) -> None:
    done = engine.wherry("run", "--rm", "127.0.0.1:1/nosuch", "true", check=False)
    assert done.returncode == 125
    assert "Unable to find image '127.0.0.1:1/nosuch:latest' locally" in done.stderr
    assert "connection refused" in done.stderr


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("Busybox", "invalid reference format: repository name (library/Busybox) must be lowercase"),
        ("bad::tag", "invalid reference format"),
        ("-x", "unknown shorthand flag: 'x' in -x"),
    ],
)
def test_a_bad_reference(engine: EngineUnderTest, reference: str, message: str) -> None:
    done = engine.wherry("run", "--rm", reference, "true", check=False)
    assert done.returncode == 125
    assert message in done.stderr


def test_a_missing_command_is_127(engine: EngineUnderTest) -> None:
    done = engine.wherry("run", "--rm", "busybox", "nosuchprogram", check=False)
    assert done.returncode == 127
    assert 'exec: "nosuchprogram": executable file not found in $PATH' in done.stderr
    done = engine.wherry("run", "--rm", "busybox", "/no/such", check=False)
    assert done.returncode == 127
    assert 'exec: "/no/such": stat /no/such: no such file or directory' in done.stderr


def test_a_file_that_is_not_executable_is_126(engine: EngineUnderTest) -> None:
    done = engine.wherry("run", "--rm", "busybox", "/etc/passwd", check=False)
    assert done.returncode == 126
    assert 'exec: "/etc/passwd": permission denied' in done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--memory", "lots"), 'invalid argument "lots" for "-m, --memory" flag: invalid size: \'lots\''),
        (("--memory", "1k"), "Minimum memory limit allowed is 6MB"),
        (("--cpus", "-1"), "range of CPUs is from 0.01 to"),
        (("--cap-add", "NOSUCH"), 'invalid CapAdd: unknown capability: "CAP_NOSUCH"'),
        (("--restart", "always"), "conflicting options: cannot specify both --restart and --rm"),
        (("--network", "nowhere"), "network nowhere not found"),
        (("--ulimit", "nofile=x"), "invalid"),
        (("--name", "-bad-"), "Invalid container name (-bad-), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"),
        (("-v", "relative/path:/x"), "includes invalid characters for a local volume name"),
        (("--security-opt", "seccomp=/no/such/file"), "no such file or directory"),
        (("--pid", "nonsense"), "invalid PID mode"),
        (("-u", "nosuchuser"), "unable to find user nosuchuser: no matching entries in passwd file"),
        (("--log-driver", "nosuch"), "logger: no log driver named 'nosuch' is registered"),
        (("--nosuchflag",), "unknown flag: --nosuchflag"),
        (("-e",), "invalid reference format"),
    ],
)
def test_invalid_option_values(engine: EngineUnderTest, options: tuple[str, ...], message: str) -> None:
    done = engine.wherry("run", "--rm", *options, "busybox", "true", check=False)
    assert done.returncode in (125, 126), done
    if options != ("-e",):  # takes "busybox" as its value, so "true" is the image: that there is none is enough
        assert message in done.stderr


def test_a_missing_container(engine: EngineUnderTest) -> None:
    for command in ("stop", "start", "kill", "rm", "logs", "restart", "wait", "attach"):
        done = engine.wherry(command, "nosuch", check=False)
        assert done.returncode == 1, command
        assert "No such container: nosuch" in done.stderr, command
    done = engine.wherry("exec", "nosuch", "true", check=False)
    assert done.returncode == 1
    assert "No such container: nosuch" in done.stderr
    done = engine.wherry("inspect", "nosuch", check=False)
    assert done.returncode == 1
    assert done.stdout == "[]\n"
    assert "No such object: nosuch" in done.stderr


def test_an_unknown_restart_policy(engine: EngineUnderTest) -> None:
    done = engine.wherry("run", "--restart", "sometimes", "busybox", "true", check=False)
    assert done.returncode == 125
    assert "invalid restart policy" in done.stderr


@pytest.fixture
def saved(engine: EngineUnderTest, tmp_path: Path) -> bytes:
    """An archive of an image of which the engine then has nothing any more."""
    rootfs = tmp_path / "rootfs.tar"
    with tarfile.open(rootfs, "w") as archive:
        member = tarfile.TarInfo("payload")
        member.size = 300_000
        archive.addfile(member, io.BytesIO(bytes(range(250)) * 1200))
    engine.wherry("import", str(rootfs), "payload")
    path = tmp_path / "saved.tar"
    engine.wherry("save", "-o", str(path), "payload")
    engine.wherry("rmi", "payload")
    return path.read_bytes()


def test_a_truncated_archive(engine: EngineUnderTest, saved: bytes) -> None:
    for length in (100, len(saved) // 2, len(saved) - 5000):
        done = engine.wherry("load", stdin=saved[:length], check=False)
        assert done.returncode == 1, length
        assert done.stderr.strip()
    done = engine.wherry("load", stdin=gzip.compress(saved)[:-2000], check=False)
    assert done.returncode == 1


def test_a_tampered_archive(engine: EngineUnderTest, saved: bytes) -> None:
    """One byte of a layer is changed: no digest fits any more."""
    source = tarfile.open(fileobj=io.BytesIO(saved))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as target:
        for member in source:
            data = source.extractfile(member)
            content = bytearray(data.read()) if data else bytearray()
            if len(content) > 100_000:
                content[60_000] ^= 1
            if member.name == "manifest.json":
                manifest = json.loads(bytes(content))
                manifest[0]["RepoTags"] = ["tampered:latest"]
                content = bytearray(json.dumps(manifest).encode())
                member.size = len(content)
            target.addfile(member, io.BytesIO(bytes(content)) if data else None)
    done = engine.wherry("load", stdin=out.getvalue(), check=False)
    assert done.returncode == 1
    assert "tampered" not in engine.wherry("images").stdout


def test_garbage_is_no_archive(engine: EngineUnderTest) -> None:
    for command in (("load",), ("import", "-", "garbage:latest")):
        done = engine.wherry(*command, stdin=b"this is not a tar archive" * 100, check=False)
        assert done.returncode == 1
        assert len(done.stderr.strip().splitlines()) <= 2


def test_an_unknown_command(engine: EngineUnderTest) -> None:
    done = engine.wherry("frobnicate", check=False)
    assert done.returncode == 1
    assert "frobnicate" in done.stderr


def test_a_used_name_and_a_running_container(engine: EngineUnderTest) -> None:
    engine.wherry("run", "-d", "--name", "taken", "busybox", "sleep", "1000")
    done = engine.wherry("run", "--name", "taken", "busybox", "true", check=False)
    assert done.returncode == 125
    assert 'Conflict. The container name "/taken" is already in use by container' in done.stderr
    done = engine.wherry("rm", "taken", check=False)
    assert done.returncode == 1
    assert "container is running: stop the container before removing or force remove" in done.stderr
    engine.wherry("rm", "-f", "taken")

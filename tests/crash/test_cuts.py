"""R01: SIGKILL for the engine at any step of any command. The next command recovers, the retry works, nothing stays.

Each test walks one command from its first step to its last, a few steps at a time; together some hundred cuts.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.crash.conftest import alive
from tests.crash.consistency import assert_consistent
from tests.crash.cut import killed_at, steps
from tests.engine_under_test import EngineUnderTest
from tests.images.image_builder import TestImage, simple_image
from tests.registry.fake_registry import FakeRegistry

pytestmark = [pytest.mark.privileged, pytest.mark.timeout(100)]

_RECOVERY_SECONDS = 5.0
_COMMAND_SECONDS = 15.0
_SLEEP = ("busybox", "sh", "-c", "trap 'exit 3' TERM; while :; do sleep 0.05; done")


@pytest.fixture
def engine(shared_engine: EngineUnderTest) -> Iterator[EngineUnderTest]:
    """Consistent and without a container before and after each test; no bug showed itself in its log."""
    yield shared_engine
    left = shared_engine.wherry("ps", "-aq").stdout.split()
    if left:
        shared_engine.wherry("rm", "-f", *left)
    assert not left
    assert_consistent(shared_engine, resumable=True)
    assert "Traceback" not in shared_engine.log(), shared_engine.log()[-6000:]


def cut(
    engine: EngineUnderTest,
    command: Sequence[str],
    *,
    most: int,
    before: Callable[[], object] = lambda: None,
    after: Callable[[], object],
    resumable: bool = False,
) -> None:
    """Run ``command`` at most ``most`` times, each with the engine dying at another step; ``after`` retries it and
    leaves things as ``before`` found them."""
    before()
    engine.wherry(*command, check=False)  # the first time has steps that no other has
    after()
    before()
    plan = steps(engine, lambda: engine.wherry(*command, check=False), most)
    after()
    cuts = 0
    for step in plan:
        before()
        with killed_at(engine, step) as pid:
            try:
                done = engine.wherry(*command, check=False, timeout=_COMMAND_SECONDS)
            except subprocess.TimeoutExpired as exc:
                raise AssertionError(f"it hangs when the engine is killed at {step}") from exc
            if engine.engine_pid() == pid:
                time.sleep(0.05)  # what the answer does not wait for may be cut as well
        assert "Traceback" not in done.stderr, done.stderr
        cuts += not alive(pid)
        began = time.monotonic()
        engine.wherry("ps", "-a")
        try:
            assert time.monotonic() - began < _RECOVERY_SECONDS
            assert_consistent(engine, resumable=resumable)
            after()
        except AssertionError as exc:
            exc.add_note(f"killed at {step} of {' '.join(command)}: {done.returncode} {done.stdout} {done.stderr}")
            raise
    assert cuts >= len(plan) * 0.6, f"only {cuts} of {len(plan)} cuts hit the command"


def status(engine: EngineUnderTest, name: str) -> str:
    """The container's status, empty when there is none."""
    done = engine.wherry("inspect", "--format", "{{.State.Status}}", name, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def test_r01_run_rm_with_a_port(engine: EngineUnderTest) -> None:
    command = ("run", "--rm", "--name", "once", "-p", "80", "busybox", "sh", "-c", "exit 7")

    def after() -> None:
        assert status(engine, "once") in ("", "created", "running")
        engine.wherry("rm", "-f", "once")
        assert engine.wherry(*command, check=False).returncode == 7

    cut(engine, command, most=9, after=after)


def test_r01_run_rm_with_volumes(engine: EngineUnderTest) -> None:
    command = ("run", "--rm", "--name", "once", "-v", "/data", "-v", "kept:/kept", "busybox", "touch", "/kept/here")

    def after() -> None:
        engine.wherry("rm", "-f", "-v", "once")
        engine.wherry(*command)
        assert engine.wherry("volume", "ls", "-q").stdout.split() == ["kept"]
        engine.wherry("volume", "rm", "kept")

    cut(engine, command, most=9, after=after)


def test_r01_run_detached_with_a_port(engine: EngineUnderTest) -> None:
    command = ("run", "-d", "--name", "serves", "-p", "80", *_SLEEP)

    def after() -> None:
        found = status(engine, "serves")
        assert found in ("", "created", "running")
        if found == "created":
            engine.wherry("start", "serves")
        if found:
            assert engine.wherry("exec", "serves", "echo", "here").stdout == "here\n"
            assert engine.wherry("port", "serves").stdout.startswith("80/tcp -> 0.0.0.0:")
        engine.wherry("rm", "-f", "serves")
        engine.wherry(*command)
        engine.wherry("rm", "-f", "serves")

    cut(engine, command, most=7, after=after)


def test_r01_create(engine: EngineUnderTest) -> None:
    command = ("create", "--name", "made", "-v", "/data", "busybox", "true")

    def after() -> None:
        assert status(engine, "made") in ("", "created")
        engine.wherry("rm", "-f", "-v", "made")
        engine.wherry(*command)
        engine.wherry("start", "-a", "made")
        engine.wherry("rm", "-v", "made")
        assert engine.wherry("volume", "ls", "-q").stdout == ""

    cut(engine, command, most=6, after=after)


def test_r01_start(engine: EngineUnderTest) -> None:
    def after() -> None:
        assert status(engine, "again") in ("created", "running")
        engine.wherry("start", "again")
        assert engine.wherry("exec", "again", "echo", "here").stdout == "here\n"
        engine.wherry("rm", "-f", "again")

    cut(
        engine,
        ("start", "again"),
        most=7,
        before=lambda: engine.wherry("create", "--name", "again", "-p", "80", *_SLEEP),
        after=after,
    )


def test_r01_stop(engine: EngineUnderTest) -> None:
    def after() -> None:
        assert status(engine, "ends") in ("running", "exited")
        engine.wherry("stop", "ends")
        assert engine.wherry("inspect", "--format", "{{.State.ExitCode}}", "ends").stdout == "3\n"
        engine.wherry("start", "ends")
        engine.wherry("rm", "-f", "ends")

    cut(
        engine,
        ("stop", "ends"),
        most=6,
        before=lambda: engine.wherry("run", "-d", "--name", "ends", "-p", "80", *_SLEEP),
        after=after,
    )


def test_r01_restart(engine: EngineUnderTest) -> None:
    def after() -> None:
        assert status(engine, "twice") in ("running", "exited")
        engine.wherry("restart", "twice")
        assert engine.wherry("exec", "twice", "echo", "here").stdout == "here\n"
        engine.wherry("rm", "-f", "twice")

    cut(
        engine,
        ("restart", "twice"),
        most=9,
        before=lambda: engine.wherry("run", "-d", "--name", "twice", "-p", "80", *_SLEEP),
        after=after,
    )


def test_r01_rm_force(engine: EngineUnderTest) -> None:
    def after() -> None:
        assert status(engine, "doomed") in ("", "running", "exited")
        engine.wherry("rm", "-f", "-v", "doomed")
        assert status(engine, "doomed") == ""
        assert engine.wherry("volume", "ls", "-q").stdout == ""

    cut(
        engine,
        ("rm", "-f", "-v", "doomed"),
        most=9,
        before=lambda: engine.wherry("run", "-d", "--name", "doomed", "-v", "/data", "-p", "80", *_SLEEP),
        after=after,
    )


def test_r01_rename(engine: EngineUnderTest) -> None:
    def after() -> None:
        found = [name for name in ("early", "later") if status(engine, name)]
        assert len(found) == 1
        if found == ["early"]:
            engine.wherry("rename", "early", "later")
        engine.wherry("rm", "later")

    cut(
        engine,
        ("rename", "early", "later"),
        most=6,
        before=lambda: engine.wherry("create", "--name", "early", "busybox"),
        after=after,
    )


def test_r01_exec_leaves_the_container_alone(engine: EngineUnderTest) -> None:
    engine.wherry("run", "-d", "--name", "steady", *_SLEEP)
    pid = engine.wherry("inspect", "--format", "{{.State.Pid}}", "steady").stdout

    def after() -> None:
        assert engine.wherry("inspect", "--format", "{{.State.Pid}}", "steady").stdout == pid
        assert engine.wherry("exec", "steady", "echo", "here").stdout == "here\n"

    cut(engine, ("exec", "steady", "true"), most=3, after=after)
    engine.wherry("rm", "-f", "steady")


def test_r01_pause_and_unpause_r34(engine: EngineUnderTest) -> None:
    for verb in ("pause", "unpause"):

        def before(verb: str = verb) -> None:
            engine.wherry("run", "-d", "--name", "frozen", *_SLEEP)
            if verb == "unpause":
                engine.wherry("pause", "frozen")

        def after() -> None:
            found = status(engine, "frozen")
            assert found in ("running", "paused")
            if found == "paused":
                engine.wherry("unpause", "frozen")
            engine.wherry("pause", "frozen")
            began = time.monotonic()
            engine.wherry("stop", "frozen")
            assert time.monotonic() - began < 2
            engine.wherry("rm", "frozen")

        cut(engine, (verb, "frozen"), most=2, before=before, after=after)


def test_r01_commit_and_remove_an_image(engine: EngineUnderTest) -> None:
    engine.wherry("create", "--name", "source", "busybox", "true")

    def committed() -> None:
        engine.wherry("commit", "source", "copy")
        engine.wherry("run", "--rm", "copy")
        engine.wherry("rmi", "copy")

    cut(engine, ("commit", "source", "copy"), most=6, after=committed, resumable=True)

    def removed() -> None:
        engine.wherry("rmi", "copy", check=False)
        assert "copy" not in engine.wherry("images", "--format", "{{.Repository}}").stdout.split()

    cut(
        engine,
        ("rmi", "copy"),
        most=6,
        before=lambda: engine.wherry("commit", "source", "copy"),
        after=removed,
        resumable=True,
    )
    engine.wherry("rm", "source")


def test_r01_load(engine: EngineUnderTest, tmp_path: Path) -> None:
    image = simple_image("loaded", layers=2)
    archive = tmp_path / "image.tar"
    archive.write_bytes(image.docker_archive("loaded:latest"))

    def after() -> None:
        check_image(engine, "loaded", image)
        engine.wherry("load", "-i", str(archive))
        engine.wherry("create", "--name", "uses", "loaded", "true")
        engine.wherry("rm", "uses")
        engine.wherry("rmi", "loaded")

    cut(engine, ("load", "-i", str(archive)), most=7, after=after, resumable=True)


def test_r01_pull(engine: EngineUnderTest) -> None:
    image = simple_image("pulled", layers=3, size=100_000)
    with FakeRegistry() as registry:
        image.push(registry.repository("app"), "v1")
        reference = f"{registry.host}/app:v1"

        def after() -> None:
            check_image(engine, reference, image)
            engine.wherry("pull", reference)
            engine.wherry("create", "--name", "uses", reference, "true")
            engine.wherry("rm", "uses")
            engine.wherry("rmi", reference)

        cut(engine, ("pull", reference), most=9, after=after, resumable=True)


def check_image(engine: EngineUnderTest, name: str, image: TestImage) -> None:
    """It is absent or whole."""
    done = engine.wherry("image", "inspect", name, check=False)
    if done.returncode == 0:
        assert json.loads(done.stdout)[0]["Id"] == image.id


def test_r01_r41_volumes_are_made_and_removed_whole(engine: EngineUnderTest) -> None:
    engine.wherry("volume", "create", "other")

    def created() -> None:
        engine.wherry("volume", "create", "mine")
        engine.wherry("volume", "rm", "mine")

    cut(engine, ("volume", "create", "mine"), most=5, after=created, resumable=True)

    def removed() -> None:
        engine.wherry("volume", "rm", "-f", "mine")
        assert engine.wherry("volume", "ls", "-q").stdout == "other\n"

    cut(
        engine,
        ("volume", "rm", "mine"),
        most=5,
        before=lambda: engine.wherry("volume", "create", "mine"),
        after=removed,
        resumable=True,
    )
    engine.wherry("volume", "rm", "other")

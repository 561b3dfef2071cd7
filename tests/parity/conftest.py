"""dockerd and our engine side by side, for the whole folder; a script is run on both and compared line by line."""

import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import pytest

from tests.compat.conftest import docker_major
from tests.engine_under_test import EngineUnderTest
from tests.parity.dockerd import Dockerd
from tests.parity.normalise import normalise
from tests.parity.script import Outcome, Side, Step, parse

Compare = Callable[[str], None]
_IMPORT = (
    "import", "--change", 'CMD ["sh"]', "--change",
    "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
)  # fmt: skip


@pytest.fixture(scope="session")
def docker_cli() -> str:
    """The docker client of this machine, whichever it is."""
    path = shutil.which("docker")
    if path is None:
        pytest.fail("the docker CLI is not installed")
    return path


@pytest.fixture(scope="session")
def same_words(docker_cli: str) -> bool:
    """Whether the client has the texts of docker 28, which are wherry's; Debian 12's has those of 20.10."""
    return docker_major() >= 28


@pytest.fixture(scope="session")
def sides(docker_cli: str, busybox_tar: Path) -> Iterator[tuple[Side, Side, Side]]:
    """dockerd by docker, ours by docker, ours by wherry; each with the image ``busybox``."""
    root = Path(tempfile.mkdtemp(prefix="wh-", dir="/tmp"))
    engine = EngineUnderTest(root, {})
    dockerd = Dockerd()
    try:
        environment = engine.environment
        theirs = Side("dockerd by docker", (docker_cli, "-H", f"unix://{dockerd.socket}"), environment,
                      partial(normalise, roots=(str(dockerd.root / "data"), str(dockerd.root / "exec"))))  # fmt: skip
        ours = partial(normalise, roots=(str(engine.data_root), str(engine.run_root)))
        engine.import_busybox(busybox_tar)
        subprocess.run([*theirs.prefix, *_IMPORT, str(busybox_tar), "busybox"], env=environment, check=True,
                       capture_output=True, timeout=60)  # fmt: skip
        yield (
            theirs,
            Side("ours by docker", (docker_cli, "-H", f"unix://{engine.socket}"), environment, ours),
            Side("ours by wherry", (str(Path(sys.executable).parent / "wherry"),), environment, ours),
        )
        assert "Traceback" not in engine.log(), engine.log()
    finally:
        dockerd.stop()
        engine.stop()
        shutil.rmtree(root, ignore_errors=True)


@pytest.fixture
def compare(sides: tuple[Side, Side, Side], same_words: bool) -> Compare:
    """Runs a script three times, and fails with every line whose outcome is another than dockerd's."""
    theirs, by_docker, by_wherry = sides

    def run(script: str) -> None:
        steps = parse(script, same_words=same_words)
        with ThreadPoolExecutor(1) as pool:
            measure = pool.submit(_run_all, theirs, steps)
            outcomes = [_run_all(by_docker, steps), _run_all(by_wherry, steps)]
            expected = measure.result()
        differences = []
        for number, step in enumerate(steps):
            if not step.compared:
                continue
            wanted = _wanted(step, expected[number])
            for side, found, strict in (
                (by_docker, outcomes[0][number], True),
                (by_wherry, outcomes[1][number], same_words),
            ):
                if not _same(step, wanted, found, strict=strict):
                    differences.append(f"{step.line}\n  wanted {wanted}\n  {side.name} {found}")
        assert not differences, "\n" + "\n".join(differences)

    return run


def _run_all(side: Side, steps: list[Step]) -> list[Outcome]:
    try:
        return [side.run(step) for step in steps]
    finally:
        _remove_containers(side)


def _remove_containers(side: Side) -> None:
    deadline = time.monotonic() + 20
    while ids := _docker(side, "ps", "-aq").split():
        assert time.monotonic() < deadline, f"{side.name} keeps {ids}"
        _docker(side, "rm", "-f", "-v", *ids)  # fails for one that is going by itself: look again


def _docker(side: Side, *arguments: str) -> str:
    command = [*side.prefix, *arguments]
    return subprocess.run(command, env=side.environment, capture_output=True, text=True, check=False).stdout


def _wanted(step: Step, measured: Outcome) -> Outcome:
    if step.expected is None:
        return measured
    code, text = step.expected
    return Outcome("", text, code)


def _same(step: Step, wanted: Outcome, found: Outcome, *, strict: bool) -> bool:
    if step.code_only or not strict:
        return wanted.code == found.code
    if step.expected is not None:
        return wanted.code == found.code and wanted.stderr.strip() == (found.stdout + found.stderr).strip()
    return wanted == found


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A directory with an ``env`` file, good and bad."""
    directory = tmp_path_factory.mktemp("files")
    (directory / "env").write_text('# comment\nX=1\nY=a b c\nNOSUCHVARIABLE\n  Z=2\nQ="q"\n')
    (directory / "bad-env").write_text("A B=1\n")
    return str(directory)

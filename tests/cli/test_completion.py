"""Completion as the shells do it: each runs its own script against an engine with live objects."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.client.fake_engine import FakeEngine
from wherry.cli import complete, complete_tables, registry
from wherry.cli.complete_shell import after_break, split

_BIN = str(Path(sys.executable).parent)


_ANSWERS = {
    "/containers/json": [
        {"Names": [f"/{name}"], "State": state, "Image": "busybox", "Status": "Up"}
        for name, state in (("web", "running"), ("worker", "running"), ("old", "exited"), ("ice", "paused"))
    ],
    "/images/json": [
        {"Id": "sha256:" + "a" * 64, "RepoTags": ["busybox:latest", "busybox:1.36"]},
        {"Id": "sha256:" + "b" * 64, "RepoTags": ["reg.example:5000/app:v1"]},
    ],
    "/networks": [{"Name": name, "Driver": "bridge"} for name in ("bridge", "front")],
    "/volumes": {"Volumes": [{"Name": "data"}]},
}


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    path = str(tmp_path_factory.mktemp("engine") / "s")
    engine = FakeEngine(path, lambda request: request.answer(200, _ANSWERS[request.path]))
    yield engine.host
    engine.close()


Shell = Callable[[str], list[str]]


@pytest.fixture(params=["bash", "zsh", "fish"])
def shell(request: pytest.FixtureRequest, address: str, tmp_path: Path) -> Shell:
    """What a shell offers for a line; ``[files]`` where it goes on to complete file names."""
    name = request.param
    if shutil.which(name) is None:
        pytest.fail(f"{name} is not installed")
    environ = {"PATH": f"{_BIN}:/usr/bin:/bin", "HOME": str(tmp_path), "WHERRY_HOST": address, "LC_ALL": "C.UTF-8"}
    script = tmp_path / "script"
    script.write_text(subprocess.run(
        ["wherry", "completion", name], env=environ, capture_output=True, text=True, check=True, timeout=30,
    ).stdout)  # fmt: skip

    def offered(line: str) -> list[str]:
        done = subprocess.run(
            [name, *_ARGUMENTS[name], "-c", _PROGRAMS[name], name, line, str(script)] if name != "fish" else
            ["fish", "--no-config", "-c", _PROGRAMS[name], line, str(script)],
            env=environ, capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path,
        )  # fmt: skip
        assert not done.stderr, done.stderr
        return sorted(done.stdout.splitlines())

    return offered


_ARGUMENTS = {"bash": ["--norc"], "zsh": ["-f"], "fish": []}
_PROGRAMS = {
    "bash": """
        compopt() { [[ $2 == default ]] && echo '[files]'; }
        source "$2"; COMP_LINE=$1; COMP_POINT=${#1}
        $(complete -p wherry | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        for word in "${COMPREPLY[@]}"; do echo "$word"; done""",
    "zsh": """
        _files() { echo '[files]' }
        _describe() { for entry in $offered; do print -r -- "${${entry//\\\\:/@}%%:*}"; done | tr @ : }
        source "$2"
        words=(${(z)1}); [[ $1 == *' ' ]] && words+=('')
        CURRENT=$#words; _wherry""",
    "fish": """
        source $argv[2]
        function __fish_complete_path; echo $argv[1]'[files]'; end
        complete -C $argv[1] | string split -f1 \\t | string replace -r '.*\\[files\\]' '[files]'""",
}


def test_commands_groups_and_options_are_offered(shell: Shell) -> None:
    assert shell("wherry vol") == ["volume"]
    assert {"run", "container", "completion", "ps"} <= set(shell("wherry "))
    assert shell("wherry network dis") == ["disconnect"]
    assert shell("wherry run --net") == ["--network", "--network-alias"]
    assert "-d" in shell("wherry run -") and "--detach" in shell("wherry run -")
    assert shell("wherry --tlsc") == ["--tlscacert", "--tlscert"]
    assert shell("wherry completion z") == ["zsh"]
    assert shell("wherry nonsense x") == []


def test_live_names_are_offered_where_they_belong(shell: Shell) -> None:
    assert shell("wherry stop ") == ["ice", "web", "worker"]
    assert shell("wherry stop web ") == ["ice", "worker"]
    assert shell("wherry container start ") == ["old"]
    assert shell("wherry unpause ") == ["ice"]
    assert shell("wherry rm -f o") == ["old"]
    assert shell("wherry run -it --rm --network f") == ["front"]
    assert shell("wherry run -it --rm bus")[-1] == "busybox:1.36"
    assert shell("wherry exec -u root w") == ["web", "worker"]
    assert shell("wherry volume rm ") == ["data"]
    assert shell("wherry network connect front ol") == ["old"]
    assert shell("wherry --debug logs -f wo") == ["worker"]
    assert shell("wherry cp we") == ["web:"]


def test_file_names_are_left_to_the_shell(shell: Shell) -> None:
    assert shell("wherry run --env-file x") == ["[files]"]
    assert shell("wherry import ") == ["[files]"]
    assert shell("wherry exec web ") == ["[files]"]


def test_what_bash_takes_for_the_end_of_a_word_is_not_offered_again() -> None:
    assert after_break("busybox:1.36", "busybox:1", " :=") == "1.36"
    assert after_break("reg.example:5000/app:v1", "reg.example:5000/a", " :=") == "5000/app:v1"
    assert after_break("--network=front", "--network=f", " :=") == "front"
    assert after_break("busybox:1.36", "busybox:1", " ") == "busybox:1.36"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("wherry ", ["wherry", ""]),
        ("wherry run  -e 'A B", ["wherry", "run", "-e", "A B"]),
        ('wherry "a b" c', ["wherry", "a b", "c"]),
        ("wherry a\\ b", ["wherry", "a b"]),
        ('wherry "a\\"b" \'\' ', ["wherry", 'a"b', "", ""]),
        ("", [""]),
    ],
)
def test_a_command_line_is_split_as_bash_does(line: str, words: list[str]) -> None:
    assert split(line) == words


def test_every_command_that_is_listed_exists() -> None:
    known = {entry[:2] for entry in registry.ROOT.values()} | {
        entry[:2] for table, _ in registry.GROUPS.values() for entry in table.values()
    }
    assert {entry for entry in complete_tables.ARGUMENTS if entry != ("push", "PUSH")} <= known


def test_without_an_engine_nothing_is_started_and_nothing_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WHERRY_RUN_ROOT", str(tmp_path))
    monkeypatch.delenv("WHERRY_HOST", raising=False)
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    assert complete.complete(["stop", ""]) == []
    assert complete.complete(["stop", "--time"]) == [("--timeout", "Seconds to wait before killing the container")]
    assert list(tmp_path.iterdir()) == []

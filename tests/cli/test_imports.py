"""The hot path's imports are counted, not its time: a number of modules does not depend on the machine (P18)."""

import subprocess
import sys

import pytest

HEAVY = {
    "argparse", "asyncio", "collections", "contextlib", "ctypes", "dataclasses", "datetime", "email", "enum",
    "functools", "hashlib", "http", "inspect", "json", "logging", "msgspec", "pathlib", "re", "select.epoll",
    "shutil", "signal", "socket", "ssl", "string", "subprocess", "tempfile", "threading", "typing", "urllib",
}  # fmt: skip
_PROBE = """
import sys
before = set(sys.modules)
import wherry.cli.main as main
code = main.run({argv!r})
sys.stdout.flush()
added = sorted(name for name in set(sys.modules) - before if not name.startswith("wherry"))
wherry = [name for name in sys.modules if name.startswith("wherry")]
sys.stderr.write("\\nIMPORTED " + " ".join(added) + "|" + str(len(wherry)))
"""


@pytest.mark.parametrize(
    ("argv", "most_of_ours"),
    [
        (["--version"], 12),
        (["-H", "unix:///nonexistent", "ps"], 30),
        (["-H", "unix:///nonexistent", "run", "--rm", "-e", "A=1", "busybox", "true"], 30),
        (["-H", "unix:///nonexistent", "exec", "c", "true"], 30),
        (["-H", "unix:///nonexistent", "logs", "c"], 30),
    ],
)
def test_a_hot_command_imports_nothing_heavy(argv: list[str], most_of_ours: int) -> None:
    command = [sys.executable, "-I", "-c", _PROBE.format(argv=argv)]
    answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    report = answer.stderr.rpartition("IMPORTED ")[2]
    added, _, ours = report.partition("|")
    assert not HEAVY & {name.partition(".")[0] for name in added.split()}
    assert len(added.split()) <= 8
    assert int(ours) <= most_of_ours


def test_the_package_itself_imports_nothing() -> None:
    probe = "import sys; before = set(sys.modules); import wherry; print(sorted(set(sys.modules) - before))"
    answer = subprocess.run(
        [sys.executable, "-I", "-c", probe], capture_output=True, text=True, timeout=30, check=True
    )
    assert answer.stdout.strip() == "['wherry']"

"""What the commands of ``wherry-runtime`` import is counted, not their time (P20): half of it is the interpreter's."""

import subprocess
import sys

import pytest

HEAVY = {
    "argparse", "asyncio", "collections", "contextlib", "dataclasses", "enum", "functools", "inspect", "json", "re",
    "signal", "socket", "subprocess", "typing",
}  # fmt: skip
_PROBE = """
import sys
sys.path.insert(0, {root!r})
before = set(sys.modules)
from wherry.runtime.options import parse
{imports}
added = sorted(set(sys.modules) - before)
print(" ".join(name for name in added if not name.startswith("wherry")), end="|")
print(" ".join(name for name in added if name.startswith("wherry")))
"""
_LOAD = "import wherry.runtime.commands as commands; commands._load({name!r});"
_DELETE = "import wherry.runtime.delete, wherry.runtime.cgroups; from wherry.runtime import cgroups_v1;"
_START = "import wherry.runtime.start_created;"
_CREATE = "from wherry.runtime import cgroups; cgroups.system_layout(); from wherry.runtime import resources_v1"


@pytest.mark.parametrize(
    ("imports", "most_of_ours", "ctypes"),
    [
        (_LOAD.format(name="start") + _START, 20, False),
        (_LOAD.format(name="kill") + "import wherry.runtime.kill", 18, False),
        (_LOAD.format(name="delete") + _DELETE, 26, False),
        (_LOAD.format(name="create") + _CREATE, 62, True),
        (_LOAD.format(name="run") + _CREATE, 62, True),
    ],
)
def test_a_commands_imports_are_few(imports: str, most_of_ours: int, *, ctypes: bool) -> None:
    root = __file__.rpartition("/tests/")[0] + "/src"
    probe = _PROBE.format(root=root, imports=imports)
    answer = subprocess.run(
        [sys.executable, "-I", "-S", "-c", probe], capture_output=True, text=True, timeout=30, check=True
    )
    theirs, _, ours = answer.stdout.partition("|")
    assert not HEAVY & {name.partition(".")[0] for name in theirs.split()}
    assert ("ctypes" in theirs.split()) == ctypes
    assert len(ours.split()) <= most_of_ours, ours


def test_s33_only_what_enters_a_container_is_executed_anew() -> None:
    """The commands that enter are told by their name: one that does not may be missing, one that does may not."""
    from wherry.runtime.cli import _ENTERING
    from wherry.runtime.commands import _SUMMARIES, _load

    entering = {
        name
        for name in _SUMMARIES.keys() - {"checkpoint", "restore"}
        if {"create_from_bundle", "exec_process", "_made"} & set(_load(name).run.__code__.co_names)
    }
    assert entering == _ENTERING

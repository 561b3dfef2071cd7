"""Walking trees that a container has made to hurt whoever walks them."""

import errno
import os
import subprocess
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from wherry.snapshots.usage import measure
from wherry.snapshots.walk import MAX_PATH_BYTES, walk

_NAME = "n" * 200


@pytest.fixture
def deep(tmp_path: Path) -> Iterator[int]:
    """A descriptor of a directory with 3,000 levels of long names below it, a file beside them and one at the end."""
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    (tmp_path / "x").write_bytes(b"12345")
    fd = os.dup(root)
    for _ in range(3000):
        os.mkdir(_NAME, dir_fd=fd)
        below = os.open(_NAME, os.O_RDONLY | os.O_DIRECTORY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(os.open("end", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
    os.close(fd)
    yield root
    os.close(root)
    subprocess.run(["rm", "-rf", str(tmp_path / _NAME)], check=True)  # pytest's own clean-up is recursive


def test_s19_a_path_over_the_limit_is_an_error_for_those_who_need_everything(deep: int) -> None:
    with pytest.raises(OSError, match="too long") as caught:
        for node in walk(deep):
            assert len(node.path) <= MAX_PATH_BYTES
    assert caught.value.errno == errno.ENAMETOOLONG


def test_s19_the_size_of_a_deep_tree_is_told_in_bounded_memory(deep: int) -> None:
    """Whole paths of every level would be 3,000 * 600 KB / 2, 900 MB of the engine's memory."""
    tracemalloc.start()
    try:
        assert measure(deep).size_bytes == 5
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_walk_goes_on_beside_what_it_leaves_out(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "c").touch()
    (tmp_path / "z").touch()
    root = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    assert [node.path for node in walk(root)] == [b"a", b"a/b", b"a/b/c", b"z"]
    os.close(root)

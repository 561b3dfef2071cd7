"""Progress on a terminal and on a pipe; the texts are those that docker 28 drew on the same messages."""

import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator
from fcntl import ioctl
from typing import Any

import pytest

from wherry.cli import progress

MESSAGES: list[dict[str, Any]] = [
    {"status": "Pulling from app", "id": "v1"},
    {"status": "Pulling fs layer", "progressDetail": {}, "id": "aaa"},
    {"status": "Downloading", "progressDetail": {"current": 7792, "total": 1036632}, "id": "aaa"},
    {"status": "Pull complete", "progressDetail": {}, "id": "aaa"},
    {"status": "Digest: sha256:1"},
]


@pytest.mark.parametrize(
    ("detail", "columns", "shown"),
    [
        ({}, 200, ""),
        ({"current": 7792, "total": 1036632}, 90, " 7.792kB/1.037MB"),
        ({"current": 6, "total": 1036632}, 110, "      6B/1.037MB"),
        ({"current": 518316, "total": 1036632}, 111, f"[{'=' * 25}>{' ' * 25}]  518.3kB/1.037MB"),
        ({"current": 10, "total": 10}, 111, f"[{'=' * 50}>]      10B/10B"),
        ({"current": 1500}, 200, "   1.5kB"),
        ({"current": 3, "total": 7, "units": "files"}, 90, "3/7 files"),
    ],
)
def test_amounts_are_shown_as_dockers(detail: dict[str, Any], columns: int, shown: str) -> None:
    assert progress.progress_text(detail, columns) == shown


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    master, slave = pty.openpty()
    ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    yield master, slave
    os.close(master)
    os.close(slave)


def test_a_pipe_gets_steps_and_no_amounts(capfd: pytest.CaptureFixture[str]) -> None:
    progress.show_progress(MESSAGES)
    assert capfd.readouterr().out == (
        "v1: Pulling from app\naaa: Pulling fs layer\naaa: Pull complete\nDigest: sha256:1\n"
    )


def test_a_terminal_gets_one_line_a_layer(terminal: tuple[int, int]) -> None:
    master, slave = terminal
    code = f"from wherry.cli.progress import show_progress; show_progress({MESSAGES!r})"
    subprocess.run([sys.executable, "-c", code], stdout=slave, check=True, timeout=30)
    drawn = os.read(master, 65536).decode()
    assert drawn == (
        "v1: Pulling from app\r\naaa: Pulling fs layer\r\n"
        "\x1b[1A\x1b[2K\raaa: Downloading  7.792kB/1.037MB\x1b[1B\r"
        "\x1b[1A\x1b[2K\raaa: Pull complete\x1b[1B\r"
        "Digest: sha256:1\r\n"
    )

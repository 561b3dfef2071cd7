"""How a container ended, and ``<data_dir>/exit.json``, which tells an engine that was not there."""

from __future__ import annotations

import os

from wherry import json_text
from wherry.linux.filesystem import sync_directory
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

EXIT_FILE = "exit.json"
FORMAT_VERSION = 1


def exit_code(wait_status: int) -> int:
    """A wait(2) status as Docker's exit code: 128 and the signal's number for a signal."""
    if os.WIFSIGNALED(wait_status):
        return 128 + os.WTERMSIG(wait_status)
    return os.WEXITSTATUS(wait_status)


def write_exit(data_dir: str, status: dict[str, Any], *, durable: bool) -> None:
    """Replace exit.json whole. ``durable``: nobody else knows the exit, so it reaches the disk before return."""
    path = os.path.join(data_dir, EXIT_FILE)
    temporary = f"{path}.{os.getpid()}"
    data = json_text.dumps({"version": FORMAT_VERSION, **status}).encode()
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, data)
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(temporary, path)
    if durable:
        sync_directory(data_dir)


def read_exit(data_dir: str) -> dict[str, Any] | None:
    """The last recorded exit, None when there is none. Raises ValueError for a format of another version."""
    try:
        with open(os.path.join(data_dir, EXIT_FILE), encoding="utf-8") as file:
            status: dict[str, Any] = json_text.loads(file.read())
    except FileNotFoundError:
        return None
    if status.get("version") != FORMAT_VERSION:
        raise ValueError(f"read {data_dir}/{EXIT_FILE}: unknown version {status.get('version')}")
    return status

"""The contract of a logging driver, and the choice of one by its name.

The monitor hands a driver raw chunks as it reads them; the driver makes lines of them. A driver runs inside
the monitor's loop: it may write to local files and must not wait for anything else.
"""

from __future__ import annotations

import os

from wherry.logs.json_file import JsonFileDriver
from wherry.logs.local import LocalDriver
from wherry.logs.none import NoneDriver
from wherry.logs.rotate import RotatingFile
from wherry.record import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Any

# "Capped by default": Docker's json-file grows without bound.
DEFAULT_MAX_SIZE_BYTES = 20 << 20
DEFAULT_MAX_FILES = 5


class LogDriver(Protocol):
    """Takes one container's output. Not safe for threads."""

    def write(self, stream: str, chunk: bytes) -> None:
        """Take output of ``stream`` (stdout, stderr). Whole lines are stored on return, an unfinished one is kept
        up to 16 KiB. Raises OSError when the store refuses; the refused lines are lost, nothing half-written stays,
        and the driver can be used again."""

    def end_stream(self, stream: str) -> None:
        """The stream is over: store its unfinished line. Raises OSError as :meth:`write`."""

    def close(self) -> None:
        """Release descriptors; idempotent."""


def open_driver(log: dict[str, Any]) -> LogDriver:
    """The driver of a start request's ``log`` object: ``driver``, ``path``, ``max_size`` (bytes, -1: no limit),
    ``max_files``, ``attributes``. Raises OSError when its file cannot be opened."""
    name = log.get("driver", "json-file")
    if name == "none":
        return NoneDriver()
    file = RotatingFile(
        log["path"],
        max_size_bytes=log.get("max_size") or DEFAULT_MAX_SIZE_BYTES,
        max_files=log.get("max_files") or DEFAULT_MAX_FILES,
    )
    if name == "local":
        return LocalDriver(file)
    return JsonFileDriver(file, log.get("attributes") or {})


def remove_logs(path: str) -> None:
    """Delete a log and its rotated files."""
    directory, name = os.path.split(path)
    for entry in os.listdir(directory):
        if entry == name or (
            entry.startswith(name + ".") and entry[len(name) + 1 :].rstrip("0123456789") in ("", "new")
        ):
            os.unlink(os.path.join(directory, entry))

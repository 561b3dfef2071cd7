"""Docker's jsonmessage streams: one line an event on a pipe, one redrawn line a layer on a terminal."""

import os
import sys

from wherry.cli.errors import CommandFailed
from wherry.cli.terminal import terminal_size
from wherry.cli.units import human_size_4

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_WIDE_COLUMNS = 110


def show_progress(messages: "Iterable[dict[str, Any]]", *, quiet: bool = False, output: int = 1) -> "list[Any]":
    """Show a stream to its end; gives its ``aux`` values. Raises CommandFailed for an error in it."""
    terminal = os.isatty(output)
    stream = sys.stdout if output == 1 else sys.stderr
    lines: dict[str, int] = {}
    aux: list[Any] = []
    for message in messages:
        if message.get("aux") is not None:
            aux.append(message["aux"])
            continue
        error = message.get("errorDetail") or ({"message": message["error"]} if message.get("error") else None)
        if error:
            stream.flush()
            raise CommandFailed(str(error.get("message") or message.get("error")))
        if quiet:
            continue
        identifier = str(message.get("id") or "")
        detail = message.get("progressDetail") or {}
        if not terminal:
            if not detail and not message.get("progress"):
                _write_plain(stream, message, identifier)
            continue
        _redraw(stream, lines, identifier, message)
    stream.flush()
    return aux


def _write_plain(stream: "Any", message: "dict[str, Any]", identifier: str) -> None:
    if message.get("stream"):
        stream.write(message["stream"])
    elif "status" in message:
        stream.write(f"{identifier}: {message['status']}\n" if identifier else f"{message['status']}\n")


def _redraw(stream: "Any", lines: dict[str, int], identifier: str, message: "dict[str, Any]") -> None:
    """Each id has a line of its own; the cursor rests below the last one."""
    if not identifier or ("progressDetail" not in message and not message.get("progress")):
        lines.clear()
        _write_plain(stream, message, identifier)
        return
    size = terminal_size()
    columns = size[1] if size is not None else 0
    text = f"{identifier}: {message.get('status', '')} {progress_text(message.get('progressDetail') or {}, columns)}"
    text = text.rstrip()
    if columns:
        text = text[:columns]
    if identifier not in lines:
        lines[identifier] = len(lines)
        stream.write(f"{text}\n")
    else:
        up = len(lines) - lines[identifier]
        stream.write(f"\x1b[{up}A\x1b[2K\r{text}\x1b[{up}B\r")
    stream.flush()


def progress_text(detail: "dict[str, Any]", columns: int) -> str:
    """How far something is, as Docker shows it; with a bar where the terminal is wide enough for one."""
    current, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
    if current <= 0 and total <= 0:
        return ""
    known = 0 < total >= current
    if detail.get("units"):
        counts = f"{current}/{total} {detail['units']}" if known else f"{current} {detail['units']}"
    else:
        counts = f"{human_size_4(current):>8}" + (f"/{human_size_4(total)}" if known else "")
    if total <= 0 or columns <= _WIDE_COLUMNS:
        return counts
    filled = min(current * 50 // total, 50)
    return f"[{'=' * filled}>{' ' * (50 - filled)}] {counts}"

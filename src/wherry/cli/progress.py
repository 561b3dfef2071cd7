"""Docker's jsonmessage streams: one line an event on a pipe, one redrawn line a layer on a terminal."""

import os
import sys

from wherry.cli.errors import CommandFailed
from wherry.cli.terminal import terminal_size
from wherry.cli.units import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any


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
    if not identifier:
        lines.clear()
        _write_plain(stream, message, "")
        return
    text = f"{identifier}: {message.get('status', '')} {_bar(message.get('progressDetail') or {})}".rstrip()
    size = terminal_size()
    if size is not None:
        text = text[: size[1]]
    if identifier not in lines:
        lines[identifier] = len(lines)
        stream.write(f"{text}\n")
        return
    up = len(lines) - lines[identifier]
    stream.write(f"\x1b[{up}A\x1b[2K\r{text}\x1b[{up}B\r")
    stream.flush()


def _bar(detail: "dict[str, Any]") -> str:
    current, total = int(detail.get("current") or 0), int(detail.get("total") or 0)
    if not current and not total:
        return ""
    if detail.get("units"):
        return f"{current}/{total} {detail['units']}" if total else f"{current} {detail['units']}"
    if total <= 0 or current > total:
        return human_size(current)
    filled = current * 50 // total
    bar = "=" * filled + ">" + " " * (50 - filled) if filled < 50 else "=" * 50 + ">"
    return f"[{bar}]  {human_size(current)}/{human_size(total)}"

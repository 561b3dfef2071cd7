"""One-line reports of zygote and monitor on standard error (``engine.log``). The logging package would cost every
idle monitor a megabyte."""

from __future__ import annotations

import os
import time

from wherry.log_text import printable
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

_name = "wherry"


def set_name(name: str) -> None:
    """The word in front of this process's reports."""
    global _name  # one per process, set right after the fork
    _name = name


def report(message: str) -> None:
    """Write one line (more of a traceback, indented); a closed or full standard error is nobody's problem."""
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    try:
        os.write(2, f"{stamp} {_name}[{os.getpid()}]: {printable(message)}\n".encode(errors="replace"))
    except OSError:
        pass  # nowhere left to say it


def report_bug(exc: BaseException) -> None:
    """Report where an exception came from. Reads no source file, as the traceback module would: a helper may be in a
    container's root by now."""
    lines = ["Traceback (most recent call last):", *_frames(exc.__traceback__), f"{type(exc).__name__}: {exc}"]
    if exc.__cause__ is not None:
        lines += [
            "caused by:",
            *_frames(exc.__cause__.__traceback__),
            f"{type(exc.__cause__).__name__}: {exc.__cause__}",
        ]
    report("\n".join(lines))


def _frames(traceback: TracebackType | None) -> list[str]:
    lines = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        lines.append(f'  File "{code.co_filename}", line {traceback.tb_lineno}, in {code.co_qualname}')
        traceback = traceback.tb_next
    return lines

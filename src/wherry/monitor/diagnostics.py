"""One-line reports of zygote and monitor on standard error (``engine.log``). The logging package would cost every
idle monitor a megabyte."""

import os
import time

from wherry.log_text import printable

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

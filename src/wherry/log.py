"""Diagnostic logging of wherry's own processes (a container's output is in ``logs/``).

Records go to standard error of the process: the engine's and zygote's is ``<run_root>/engine.log``
unless they run in the foreground. Credentials are never logged; callers redact.
"""

import logging
import sys

from wherry.log_text import printable

_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def get_logger(name: str) -> logging.Logger:
    """The logger of one module; ``name`` is ``__name__``."""
    return logging.getLogger(name)


def configure(*, debug: bool = False) -> None:
    """Send records of level INFO (DEBUG with ``debug``) to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Formatter(_FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else logging.INFO)


class _Formatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))

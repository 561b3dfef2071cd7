"""``--init``: the container's PID 1 starts the user's program, hands on signals, and reaps what is orphaned.

It is the init's own process, still the interpreter from the zygote's sealed memfd: no binary from the host or the
image. It runs inside the container's root, so it imports and opens nothing (SECURITY.md fact 1).
"""

from __future__ import annotations

import os

from wherry.linux import signals
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn


def run_reaper(execute: Callable[[], NoReturn], release: Callable[[], None], *, terminal: bool) -> NoReturn:
    """Fork; the child calls ``execute``. This process calls ``release`` (it closes what the child's execve is to
    close), and exits as the child does, with 128 and the number for a signal, as tini does."""
    everything = signals.valid_signals()
    signals.pthread_sigmask(signals.SIG_BLOCK, everything)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        if terminal:
            os.tcsetpgrp(0, os.getpid())  # SIGTTOU is blocked here
        signals.pthread_sigmask(signals.SIG_SETMASK, ())
        execute()
    release()
    while True:
        number = signals.sigwait(everything)
        if number == signals.SIGCHLD:
            _reap(child)
        else:
            try:
                os.kill(child, number)
            except ProcessLookupError:
                pass  # it ended, SIGCHLD is on its way


def _reap(child: int) -> None:
    """Reap whatever ended; end with the child."""
    while True:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        if pid == child:
            os._exit(128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status))

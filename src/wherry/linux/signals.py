"""What the runtime needs of the signal module, without the enums that it makes of every number (3 ms).

Plain numbers where ``signal`` has members of ``signal.Signals``; the functions are the ones that it wraps.
"""

from __future__ import annotations

import _signal  # type: ignore[import-not-found]  # built in; the interpreter has it loaded from its start

from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

SIG_DFL: int = _signal.SIG_DFL
SIG_IGN: int = _signal.SIG_IGN
SIG_BLOCK: int = _signal.SIG_BLOCK
SIG_SETMASK: int = _signal.SIG_SETMASK

SIGCHLD: int = _signal.SIGCHLD
SIGKILL: int = _signal.SIGKILL
SIGRTMIN: int = _signal.SIGRTMIN
SIGRTMAX: int = _signal.SIGRTMAX
SIGWINCH: int = _signal.SIGWINCH

getsignal: Callable[[int], Any] = _signal.getsignal
pidfd_send_signal: Callable[[int, int], None] = _signal.pidfd_send_signal
pthread_sigmask: Callable[[int, Iterable[int]], set[int]] = _signal.pthread_sigmask
set_handler: Callable[[int, Any], Any] = _signal.signal
sigwait: Callable[[Iterable[int]], int] = _signal.sigwait
valid_signals: Callable[[], set[int]] = _signal.valid_signals


def named(name: str) -> int | None:
    """The number of a signal, by its name without SIG; None when there is no such signal."""
    number = getattr(_signal, f"SIG{name}", None)
    return number if isinstance(number, int) and not name.startswith("_") else None

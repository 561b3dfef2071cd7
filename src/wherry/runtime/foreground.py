"""``run`` and ``exec`` in the foreground: signals and the terminal are passed on, the exit status becomes ours."""

from __future__ import annotations

import errno
import os
import select

from wherry.linux import signals, terminal
from wherry.linux.pidfd import send_signal
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_CHUNK = 65536
# These are about this process, or cannot be caught.
_NOT_FORWARDED = frozenset(
    map(signals.named, ("CHLD", "URG", "KILL", "STOP", "WINCH", "PIPE", "TSTP", "TTIN", "TTOU", "CONT"))
)


def hold_signals() -> None:
    """Let signals wait from before the process is made until :func:`wait_foreground` can hand them on."""
    signals.pthread_sigmask(signals.SIG_BLOCK, signals.valid_signals() - _NOT_FORWARDED)


def wait_foreground(pid: int, pidfd: int, console_fd: int | None) -> int:
    """Serve the process until it ends; its exit status, 128+N for a signal. The caller's signals are handed on."""
    former = _forward_signals(pidfd, console_fd)
    attributes = terminal.set_raw(0) if console_fd is not None and os.isatty(0) else None
    try:
        if console_fd is None:
            _wait(pidfd)
        else:
            _pump(pidfd, console_fd)
    finally:
        if attributes is not None:
            terminal.restore(0, attributes)
        for number, handler in former.items():
            signals.set_handler(number, handler)
    status = os.waitpid(pid, 0)[1]
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _forward_signals(pidfd: int, console_fd: int | None) -> dict[int, Any]:
    """Hand signals on from now, those first that :func:`hold_signals` held; the handlers that were there before."""

    def forward(number: int, _frame: object) -> None:
        try:
            send_signal(pidfd, number)
        except ProcessLookupError:
            pass  # it has just ended

    def resize(_number: int, _frame: object) -> None:
        if console_fd is not None:
            _copy_size(console_fd)

    former = {}
    for number in signals.valid_signals() - _NOT_FORWARDED:
        if number < signals.SIGRTMIN:
            former[number] = signals.set_handler(number, forward)
    signals.pthread_sigmask(signals.SIG_SETMASK, ())
    former[signals.SIGWINCH] = signals.set_handler(signals.SIGWINCH, resize)
    resize(0, None)
    return former


def _copy_size(console_fd: int) -> None:
    if os.isatty(0):
        rows, columns = terminal.window_size(0)
        terminal.set_window_size(console_fd, rows=rows, columns=columns)


def _wait(pidfd: int) -> None:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.poll()


def _pump(pidfd: int, console_fd: int) -> None:
    """Between our stdin and stdout and the pty, until the process has ended and the pty is drained."""
    poll = select.poll()
    poll.register(0, select.POLLIN)
    poll.register(console_fd, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    ended = False
    while True:
        ready = dict(poll.poll(0 if ended else None))
        if console_fd in ready:
            if not _copy(console_fd, 1):
                poll.unregister(console_fd)
                _wait(pidfd)
                return
        elif ended:
            return
        if 0 in ready and not _copy(0, console_fd):
            poll.unregister(0)
        ended = ended or pidfd in ready


def _copy(source: int, target: int) -> bool:
    """Copy what is there; False at the end. A pty whose last user is gone reads EIO."""
    try:
        data = os.read(source, _CHUNK)
    except OSError as exc:
        if exc.errno != errno.EIO:
            raise
        return False
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
    return bool(data)

"""Processes by descriptor: a pidfd names one process for ever, a pid may be reused (R38)."""

import os
import select

from wherry.linux.signals import pidfd_send_signal


def pidfd_open(pid: int) -> int:
    """pidfd_open(2), CLOEXEC. ProcessLookupError when there is no such process."""
    return os.pidfd_open(pid)


def send_signal(pidfd: int, number: int) -> None:
    """pidfd_send_signal(2). ProcessLookupError when the process has ended and was reaped."""
    pidfd_send_signal(pidfd, number)


def wait_exited(pidfd: int, timeout_seconds: float | None = None) -> bool:
    """Wait until the process has ended (it may still be a zombie); False when the time is over."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(None if timeout_seconds is None else max(0, int(timeout_seconds * 1000))))

"""Signals as clients write them: ``SIGTERM``, ``TERM``, ``15``, ``RTMIN+3``."""

import signal

from wherry.errors import InvalidParameter

DEFAULT_STOP_SIGNAL = signal.SIGTERM


def parse_signal(text: str) -> int:
    """The number; InvalidParameter with Docker's text for a name or number that Linux does not have."""
    word = text.strip().upper()
    if word.isascii() and word.isdigit():
        number = int(word)
        if 0 < number < signal.NSIG:
            return number
        raise _invalid(text)
    name = word.removeprefix("SIG")
    for base, limit in (("RTMIN", signal.SIGRTMAX), ("RTMAX", signal.SIGRTMAX)):
        if name.startswith(base):
            return _real_time(text, base, name[len(base) :], int(limit))
    found = getattr(signal.Signals, f"SIG{name}", None)
    if found is None:
        raise _invalid(text)
    return int(found)


def _real_time(text: str, base: str, offset: str, limit: int) -> int:
    number = int(signal.SIGRTMIN if base == "RTMIN" else signal.SIGRTMAX)
    if offset:
        sign = "+" if base == "RTMIN" else "-"
        if offset[0] != sign or not offset[1:].isdigit():
            raise _invalid(text)
        number += int(offset)
    if not int(signal.SIGRTMIN) <= number <= limit:
        raise _invalid(text)
    return number


def _invalid(text: str) -> InvalidParameter:
    return InvalidParameter(f"Invalid signal: {text}")

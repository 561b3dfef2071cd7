"""One logged line, as the reader gives it back."""

import calendar
from dataclasses import dataclass

from wherry.logs.timestamp import format_timestamp


@dataclass(frozen=True, slots=True)
class Entry:
    """``data`` is the text with its newline; a ``partial`` piece of a longer line has none. ``time`` is RFC3339Nano
    in UTC, kept as text because most readers only print it, if that."""

    time: str
    stream: str
    data: bytes

    @property
    def partial(self) -> bool:
        """Whether the line goes on in the next entry of this stream (or its newline never came)."""
        return not self.data.endswith(b"\n")

    @property
    def time_ns(self) -> int:
        """Nanoseconds since the epoch."""
        return parse_timestamp(self.time)

    @property
    def fixed_time(self) -> str:
        """With nine digits of fraction, as ``docker logs -t`` prints it."""
        head, _, fraction = self.time.rstrip("Z").partition(".")
        return f"{head}.{fraction:<09}Z"

    @classmethod
    def from_ns(cls, time_ns: int, stream: str, data: bytes) -> "Entry":
        """An entry whose source keeps the time as a number."""
        return cls(format_timestamp(time_ns), stream, data)


def parse_timestamp(text: str) -> int:
    """Nanoseconds since the epoch of an RFC3339 time in UTC (``Z``). Raises ValueError."""
    date = (int(text[0:4]), int(text[5:7]), int(text[8:10]))
    seconds = calendar.timegm((*date, int(text[11:13]), int(text[14:16]), int(text[17:19]), 0, 0, 0))
    if text[19:20] == "." and text.endswith("Z"):
        return seconds * 1_000_000_000 + int(text[20:-1].ljust(9, "0")[:9])
    if text[19:] == "Z":
        return seconds * 1_000_000_000
    raise ValueError(f"not an RFC3339 time in UTC: {text!r}")

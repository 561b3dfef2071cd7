"""Go's RFC3339Nano in UTC: ``2024-05-01T10:20:30.12Z``, trailing zeros of the fraction left out."""

import time

_cached_second = -1
_cached_prefix = ""


def format_timestamp(time_ns: int) -> str:
    """RFC3339Nano of nanoseconds since the epoch."""
    global _cached_second, _cached_prefix  # a container prints many lines in one second
    second, nanoseconds = divmod(time_ns, 1_000_000_000)
    if second != _cached_second:
        t = time.gmtime(second)
        _cached_prefix = f"{t[0]:04}-{t[1]:02}-{t[2]:02}T{t[3]:02}:{t[4]:02}:{t[5]:02}"
        _cached_second = second
    if not nanoseconds:
        return f"{_cached_prefix}Z"
    fraction = f"{nanoseconds:09}".rstrip("0")
    return f"{_cached_prefix}.{fraction}Z"

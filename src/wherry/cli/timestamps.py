"""Times of the API (RFC 3339 with nanoseconds, unix seconds) and of ``--since``, without datetime (3 ms)."""

import time

from wherry.cli.values import parse_duration

ZERO = "0001-01-01T00:00:00Z"


def parse_time(text: str) -> float:
    """RFC 3339 to unix seconds. Raises ValueError."""
    seconds, nanoseconds = _split(text)
    return seconds + nanoseconds / 1e9


def _split(text: str) -> tuple[int, int]:
    date, _, clock = text.replace("t", "T").partition("T")
    year, month, day = (int(part) for part in date.split("-"))
    zone = 0
    clock = clock or "00:00:00"
    if clock.endswith(("Z", "z")):
        clock = clock[:-1]
    elif len(clock) > 6 and clock[-6] in "+-" and clock[-3] == ":":
        zone = int(clock[-5:-3]) * 3600 + int(clock[-2:]) * 60
        zone = -zone if clock[-6] == "-" else zone
        clock = clock[:-6]
    else:
        zone = _local_offset(year, month, day, clock)
    clock, _, fraction = clock.partition(".")
    parts = [int(part) for part in clock.split(":")]
    hour, minute, second = (*parts, 0, 0)[:3]
    if not (1 <= month <= 12 and 1 <= day <= 31 and hour < 24 and minute < 60 and second <= 60):
        raise ValueError(text)
    seconds = _days(year, month, day) * 86400 + hour * 3600 + minute * 60 + second - zone
    return seconds, int(fraction.ljust(9, "0")[:9] or "0")


def _local_offset(year: int, month: int, day: int, clock: str) -> int:
    hour, minute = (*[int(part) for part in clock.partition(".")[0].split(":")], 0)[:2]
    return time.localtime(time.mktime((year, month, day, hour, minute, 0, 0, 0, -1))).tm_gmtoff


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 of the proleptic Gregorian calendar (H. Hinnant, days_from_civil)."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def to_query(text: str, now: float | None = None) -> str:
    """``--since`` and ``--until`` as the API takes them: seconds with a fraction. Raises ValueError.

    A duration counts back from now, a date without a zone is local, a number of seconds stays.
    """
    if not text:
        return ""
    try:
        ago = parse_duration(text)
    except ValueError:
        ago = None
    if ago is not None and text not in ("0", "+0", "-0"):
        moment = round((time.time() if now is None else now) * 1e9) - ago
        return f"{moment // 1_000_000_000}.{moment % 1_000_000_000:09d}"
    number = text.replace(".", "", 1).lstrip("-")
    if number.isdigit() and "-" not in text[1:]:
        return text
    try:
        seconds, nanoseconds = _split(text)
    except (ValueError, OverflowError):
        raise ValueError(f'failed to parse value as time or duration: "{text}"') from None
    return f"{seconds}.{nanoseconds:09d}"


def local_time(seconds: float) -> str:
    """Go's ``time.Time.String`` in local time: ``2026-11-24 07:00:00 +0000 UTC``."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(seconds))


def rfc3339_nano(nanoseconds: int) -> str:
    """Local time with 9 digits and the zone, as events are printed."""
    moment = time.localtime(nanoseconds // 1_000_000_000)
    zone = "Z" if moment.tm_gmtoff == 0 else time.strftime("%z", moment)
    if zone != "Z":
        zone = f"{zone[:3]}:{zone[3:]}"
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', moment)}.{nanoseconds % 1_000_000_000:09d}{zone}"

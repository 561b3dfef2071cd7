"""Sizes and durations for people, as docker's go-units prints them."""

_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def _scaled(size: float, base: float, units: tuple[str, ...], digits: int) -> str:
    index = 0
    while size >= base and index < len(units) - 1:
        size /= base
        index += 1
    return significant(size, digits) + units[index]


def significant(value: float, digits: int) -> str:
    """Go's ``%.4g``: the given number of significant digits, no trailing zeros."""
    return f"{value:.{digits}g}"


def human_size(size: float) -> str:
    """Decimal units, three digits: ``13.2kB``, ``7.8MB``."""
    return _scaled(size, 1000.0, _DECIMAL, 3)


def human_size_4(size: float) -> str:
    """Decimal units, four digits: ``4.261MB``."""
    return _scaled(size, 1000.0, _DECIMAL, 4)


def binary_size(size: float) -> str:
    """Binary units, four digits: ``1.944GiB``."""
    return _scaled(size, 1024.0, _BINARY, 4)


def human_duration(seconds: float) -> str:
    """``2 hours``, ``About a minute``, ``3 weeks``."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole == 1:
        return "1 second"
    if whole < 60:
        return f"{whole} seconds"
    minutes = int(seconds / 60)
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"

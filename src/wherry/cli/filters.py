"""``--filter name=value`` options as the API's filters."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from wherry.client.containers import Filters


def check_filter(text: str) -> str:
    if text and "=" not in text:
        raise ValueError("bad format of filter (expected name=value)")
    return text


def parse_filters(entries: list[str]) -> "Filters":
    """``["status=running"]`` as ``{"status": {"running": True}}``."""
    filters: Filters = {}
    for entry in entries:
        if entry:
            name, _, value = entry.partition("=")
            filters.setdefault(name.strip().lower(), {})[value.strip()] = True
    return filters

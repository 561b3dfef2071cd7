"""The ``filters`` parameter: ``{"label": ["a=b"]}`` and the older ``{"label": {"a=b": true}}``."""

from collections.abc import Collection, Mapping

import msgspec

from wherry.errors import InvalidParameter

Filters = dict[str, list[str]]

_SHAPE = dict[str, list[str] | dict[str, bool]]


class InvalidFilter(InvalidParameter):
    """Docker's text for a filter that an endpoint does not know, or a value that it cannot read."""


def parse_filters(raw: str, known: Collection[str] | None = None) -> Filters:
    """Decode the parameter; with ``known`` refuse every other name (moby ``filters.Args.Validate``)."""
    if not raw:
        return {}
    try:
        decoded = msgspec.json.decode(raw, type=_SHAPE)
    except (msgspec.DecodeError, UnicodeEncodeError) as exc:
        raise InvalidFilter(f"invalid filter: {exc}") from exc
    filters: Filters = {}
    for name, values in decoded.items():
        if known is not None and name not in known:
            raise InvalidFilter(f"invalid filter '{name}'")
        wanted = [value for value, on in values.items() if on] if isinstance(values, Mapping) else values
        if wanted:
            filters[name] = list(wanted)
    return filters

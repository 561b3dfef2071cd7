"""Query strings as Docker reads them: case-sensitive names, lax booleans, the first value wins."""

from urllib.parse import parse_qsl

from wherry.errors import InvalidParameter

_FALSE = frozenset(("", "0", "no", "false", "none"))
_MAX_FIELDS = 1000


class Query:
    """The decoded query of one request."""

    __slots__ = ("_values",)

    def __init__(self, raw: str) -> None:
        self._values: dict[str, list[str]] = {}
        if not raw:
            return
        try:
            pairs = parse_qsl(raw, keep_blank_values=True, max_num_fields=_MAX_FIELDS, errors="strict")
        except ValueError as exc:
            raise InvalidParameter(f"parse query: {exc}") from exc
        for name, value in pairs:
            self._values.setdefault(name, []).append(value)

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """The first value."""
        values = self._values.get(name)
        return values[0] if values else default

    def texts(self, name: str) -> list[str]:
        """Every value, in order."""
        return list(self._values.get(name, ()))

    def flag(self, name: str, *, default: bool = False) -> bool:
        """moby ``httputils.BoolValue``: everything but ``0 no false none`` and nothing is true."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in _FALSE

    def number(self, name: str) -> int | None:
        """A decimal integer; None when absent or empty; InvalidParameter for anything else."""
        value = self.text(name).strip()
        if not value:
            return None
        try:
            return int(value, 10)
        except ValueError:
            raise InvalidParameter(f'strconv.Atoi: parsing "{value}": invalid syntax') from None

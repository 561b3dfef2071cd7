"""Columns as Go's tabwriter lays them out for Docker: at least 10 wide, 3 blanks between, the last one ragged."""

_MINIMUM = 10
_PADDING = 3


def layout(rows: list[list[str]], *, minimum: int = _MINIMUM) -> str:
    """The lines of a table, each ended by a newline."""
    if not rows:
        return ""
    count = max(len(row) for row in rows)
    widths = [
        max(minimum, *(len(row[column]) + _PADDING for row in rows if column < len(row) - 1))
        if any(column < len(row) - 1 for row in rows)
        else 0
        for column in range(count)
    ]
    return "".join(
        "".join(cell.ljust(widths[column]) for column, cell in enumerate(row[:-1])) + row[-1] + "\n" for row in rows
    )

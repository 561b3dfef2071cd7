"""Small forms of text: shortened, quoted as Go quotes, ids without their algorithm."""

_QUOTED = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\a": "\\a", "\b": "\\b", "\f": "\\f",
           "\v": "\\v"}  # fmt: skip


def go_quote(text: str) -> str:
    """strconv.Quote."""
    parts = [
        _QUOTED.get(char)
        or (char if char.isprintable() else f"\\x{ord(char):02x}" if char < "\x80" else f"\\u{ord(char):04x}")
        for char in text
    ]
    return '"' + "".join(parts) + '"'


def ellipsis(text: str, width: int) -> str:
    """At most ``width`` characters, the last one … if some are missing."""
    if len(text) <= width:
        return text
    return text[: width - 1] + "…" if width > 1 else text[:width]


def short_id(identifier: str) -> str:
    """12 digits, without ``sha256:``."""
    return identifier.partition(":")[2][:12] if ":" in identifier else identifier[:12]

"""Text of strangers in our own log: a container's program or an image names itself, but forges no line (CWE-117)."""

_CONTROL = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
_CONTROL |= {0x2028: "\\u2028", 0x2029: "\\u2029"}


def printable(text: str) -> str:
    """``text`` without control characters; the lines after the first (a traceback's) are indented, so that none of
    them looks like a record."""
    if text.isascii() and text.isprintable():
        return text
    return text.translate(_CONTROL).replace("\n", "\n    ")

"""Texts of the command line to values, with the errors of Go's strconv, time and docker's go-units.

Every function raises ValueError with the text that Docker prints after ``invalid argument "x" for … flag:``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_DURATION_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # U+00B5, micro sign
    "μs": 1_000,  # U+03BC, Greek mu; Go takes both
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}


def parse_bool(text: str) -> bool:
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f'strconv.ParseBool: parsing "{text}": invalid syntax')


def parse_int(text: str, bits: int = 64) -> int:
    bare = text.lstrip("+-")
    octal = bare[:1] == "0" and bare[1:2].isdigit()
    try:
        if text != text.strip():
            raise ValueError
        value = int(text, 8 if octal else 0)
    except ValueError:
        raise ValueError(f'strconv.ParseInt: parsing "{text}": invalid syntax') from None
    if not -(1 << (bits - 1)) <= value < 1 << (bits - 1):
        raise ValueError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return value


def parse_uint16(text: str) -> int:
    return parse_uint(text, 16)


def parse_uint(text: str, bits: int = 64) -> int:
    if text[:1] in ("+", "-"):
        raise ValueError(f'strconv.ParseUint: parsing "{text}": invalid syntax')
    try:
        value = parse_int(text, 128)
    except ValueError as exc:
        raise ValueError(str(exc).replace("ParseInt", "ParseUint")) from None
    if value >= 1 << bits:
        raise ValueError(f'strconv.ParseUint: parsing "{text}": value out of range')
    return value


def parse_duration(text: str) -> int:
    """Go's ``time.ParseDuration``: nanoseconds."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    if not rest:
        raise ValueError(f'time: invalid duration "{text}"')
    total = 0.0
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number = rest[:digits]
        rest = rest[digits:]
        if not number.strip(".") or number.count(".") > 1:
            raise ValueError(f'time: invalid duration "{text}"')
        letters = 0
        while letters < len(rest) and rest[letters] not in "0123456789.":
            letters += 1
        unit, rest = rest[:letters], rest[letters:]
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _DURATION_UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += float(number) * _DURATION_UNITS[unit]
    return -round(total) if text.startswith("-") else round(total)


def parse_bytes(text: str) -> int:
    """go-units ``RAMInBytes``: ``512``, ``1.5g``, ``2GiB``, ``3 MB`` (binary units); bytes."""
    body = text.lower()
    for suffix in ("ib", "b", ""):
        if suffix and body.endswith(suffix):
            body = body[: -len(suffix)]
            break
    exponent = 0
    if body[-1:] and body[-1] in "kmgtp":
        exponent = "kmgtp".index(body[-1]) + 1
        body = body[:-1]
    elif text.lower().endswith("ib"):
        raise ValueError(f"invalid size: '{text}'")
    body = body.removesuffix(" ")
    if not body or not set(body) <= set("0123456789."):
        raise ValueError(f"invalid size: '{text}'")
    try:
        scale: int = 1024**exponent
        return int(float(body) * scale)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{body}": invalid syntax') from None


def parse_swap(text: str) -> int:
    """A size, or -1 for no limit."""
    return -1 if text == "-1" else parse_bytes(text)


def parse_nano_cpus(text: str) -> int:
    """A decimal or a fraction of CPUs in 1e-9."""
    number, _, divisor = text.partition("/")
    try:
        whole, _, fraction = number.lstrip("+-").partition(".")
        if not (whole + fraction).isdigit() or (divisor and not divisor.isdigit()):
            raise ValueError
        numerator = int(whole + fraction or "0")
        scale = int("1" + "0" * len(fraction)) * (int(divisor) if divisor else 1)
        if not scale:
            raise ValueError
    except ValueError:
        raise ValueError(f"failed to parse {text} as a rational number") from None
    nano, rest = divmod(numerator * 1_000_000_000, scale)
    if rest:
        raise ValueError("value is too precise")
    return -nano if number.startswith("-") else nano


def _text(text: str) -> str:
    return text


# Kinds of options: the parser of one value. Kinds in MANY collect their values in a list.
PARSERS: "dict[str, Callable[[str], object]]" = {
    "bool": parse_bool,
    "string": _text,
    "int": parse_int,
    "uint": parse_uint,
    "uint16": parse_uint16,
    "duration": parse_duration,
    "bytes": parse_bytes,
    "swap": parse_swap,
    "decimal": parse_nano_cpus,
    "list": _text,
    "strings": _text,
    "map": _text,
}
MANY = ("list", "strings", "map")
EMPTY: dict[str, object] = {"bool": False, "string": ""}

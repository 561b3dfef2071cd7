"""Values of the device options: ``--device``, ``--device-cgroup-rule``, ``--device-read-bps`` and their like."""

from wherry.cli.csv_fields import split_fields
from wherry.cli.values import parse_bytes, parse_uint

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def check_weight_device(text: str) -> str:
    parse_weight_device(text)
    return text


def parse_weight_device(text: str) -> "dict[str, Any]":
    """``/dev/sda:500`` as the API's WeightDevice."""
    path, value = _split(text)
    try:
        weight = parse_uint(value, 16)
    except ValueError:
        raise ValueError(f"invalid weight for device: {text}") from None
    if weight and not 10 <= weight <= 1000:
        raise ValueError(f"invalid weight for device: {text}")
    return {"Path": path, "Weight": weight}


def check_rate_device(text: str) -> str:
    parse_rate_device(text)
    return text


def parse_rate_device(text: str) -> "dict[str, Any]":
    """``/dev/sda:1mb`` as the API's ThrottleDevice; the rate is in bytes per second."""
    path, value = _split(text)
    try:
        rate = parse_bytes(value)
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>[<unit>]. "
            "Number must be a positive integer. Unit is optional and can be kb, mb, or gb"
        ) from None
    return {"Path": path, "Rate": rate}


def check_iops_device(text: str) -> str:
    parse_iops_device(text)
    return text


def parse_iops_device(text: str) -> "dict[str, Any]":
    """``/dev/sda:1000`` as the API's ThrottleDevice; the rate is in operations per second."""
    path, value = _split(text)
    try:
        rate = parse_uint(value)
    except ValueError:
        raise ValueError(
            f"invalid rate for device: {text}. The correct format is <device-path>:<number>. "
            "Number must be a positive integer"
        ) from None
    return {"Path": path, "Rate": rate}


def _split(text: str) -> tuple[str, str]:
    path, colon, value = text.partition(":")
    if not path or not colon:
        raise ValueError(f"bad format: {text}")
    if not path.startswith("/dev/"):
        raise ValueError(f"bad format for device path: {text}")
    return path, value


def check_device_rule(text: str) -> str:
    """``c 1:3 rwm``, numbers or ``*``."""
    words = text.split(" ")
    numbers = words[1].split(":") if len(words) == 3 else []
    if (
        len(words) != 3
        or words[0] not in ("a", "b", "c")
        or len(numbers) != 2
        or not all(number == "*" or number.isdigit() for number in numbers)
        or not is_device_mode(words[2])
    ):
        raise ValueError(f"invalid device cgroup format '{text}'")
    return text


def is_device_mode(text: str) -> bool:
    return 0 < len(text) <= 3 and set(text) <= set("rwm") and len(set(text)) == len(text)


def parse_device(text: str) -> "dict[str, str]":
    """``HOST[:CONTAINER][:rwm]`` as the API's DeviceMapping."""
    parts = text.split(":")
    if not 1 <= len(parts) <= 3 or not parts[0]:
        raise ValueError(f"bad format for path: {text}")
    source = target = parts[0]
    permissions = "rwm"
    if len(parts) == 2 and is_device_mode(parts[1]):
        permissions = parts[1]
    elif len(parts) >= 2:
        target = parts[1] or source
    if len(parts) == 3:
        permissions = parts[2]
    if not is_device_mode(permissions):
        raise ValueError(f"bad mode specified: {permissions}")
    if not target.startswith("/"):
        raise ValueError(f"{target} is not an absolute path")
    return {"PathOnHost": source, "PathInContainer": target, "CgroupPermissions": permissions}


def is_cdi_name(text: str) -> bool:
    """``vendor.com/class=name`` (Container Device Interface) rather than a path."""
    kind, equals, name = text.partition("=")
    vendor, slash, group = kind.partition("/")
    return bool(vendor[:1].isalpha() and slash and group[:1].isalpha() and "/" not in group and equals and name)


def parse_gpus(text: str) -> "dict[str, Any]":
    """``all``, a number, or ``device=0,driver=nvidia,capabilities=compute`` as the API's DeviceRequest."""
    request: dict[str, Any] = {"Driver": "", "Count": 0, "Capabilities": [["gpu"]], "Options": {}}
    seen = set()
    for field in split_fields(text):
        key, equals, value = field.partition("=")
        if not equals:
            key, value = "count", field
        if key in seen:
            raise ValueError(f"gpu request key '{key}' can be specified only once")
        seen.add(key)
        if key == "count":
            request["Count"] = _count(value)
        elif key == "driver":
            request["Driver"] = value
        elif key == "device":
            request["DeviceIDs"] = value.split(",")
        elif key == "capabilities":
            request["Capabilities"] = [[*value.split(","), "gpu"]]
        elif key == "options":
            request["Options"] = dict(option.partition("=")[::2] for option in split_fields(value))
        else:
            raise ValueError(f"unexpected key '{key}' in '{field}'")
    if "count" not in seen and "device" not in seen:
        request["Count"] = 1
    return request


def _count(text: str) -> int:
    if text == "all":
        return -1
    try:
        return int(text)
    except ValueError:
        raise ValueError(f'invalid count ({text}): value must be either "all" or an integer') from None

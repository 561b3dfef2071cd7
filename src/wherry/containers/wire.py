"""Docker's JSON spelling: field names, nulls, times. Everything in ``config.py`` is spelled by this file.

Go's decoder takes a field's name in any case, the last one winning, and reads ``null`` as "not given"; ``decode``
does the same, guided by the types, so that the keys of maps (labels, ports) stay as they are and numbers, strings
and booleans need no ``| None``.
"""

from collections.abc import Hashable
from datetime import UTC, datetime
from functools import cache
from typing import Any, TypeVar, cast

import msgspec
from msgspec import inspect

from wherry.errors import InvalidParameter

T = TypeVar("T")

ZERO_TIME = "0001-01-01T00:00:00Z"

# snake_case names whose wire name is not the plain PascalCase of it.
_SPELLINGS = {
    "id": "Id", "uts_mode": "UTSMode", "container_id_file": "ContainerIDFile", "device_ids": "DeviceIDs",
    "blkio_device_read_iops": "BlkioDeviceReadIOps", "blkio_device_write_iops": "BlkioDeviceWriteIOps",
    "io_maximum_iops": "IOMaximumIOps", "io_maximum_bandwidth": "IOMaximumBandwidth",
    "kernel_memory_tcp": "KernelMemoryTCP", "ipam_config": "IPAMConfig", "network_id": "NetworkID",
    "endpoint_id": "EndpointID", "ip_address": "IPAddress", "ip_prefix_len": "IPPrefixLen",
    "ipv6_gateway": "IPv6Gateway", "global_ipv6_address": "GlobalIPv6Address",
    "global_ipv6_prefix_len": "GlobalIPv6PrefixLen", "dns_names": "DNSNames", "ipv4_address": "IPv4Address",
    "ipv6_address": "IPv6Address", "link_local_ips": "LinkLocalIPs", "oom_killed": "OOMKilled", "rw": "RW",
}  # fmt: skip


def wire_name(name: str) -> str:
    """The Docker spelling of a snake_case field name: ``cpu_shares`` → ``CpuShares``."""
    return _SPELLINGS.get(name) or "".join(part[:1].upper() + part[1:] for part in name.split("_"))


def decode(body: bytes, kind: type[T]) -> T:
    """Read a JSON object into a struct; unknown members are ignored. InvalidParameter names the bad member."""
    try:
        return msgspec.convert(_as_go_reads(msgspec.json.decode(body), _type_info(cast(Hashable, kind))), kind)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidParameter(f"invalid JSON: {exc}") from exc


@cache
def _type_info(kind: Hashable) -> inspect.Type:
    return inspect.type_info(kind)


@cache
def _fields(kind: type) -> dict[str, tuple[str, inspect.Type]]:
    """Wire name in lower case → wire name and type."""
    info = _type_info(kind)
    assert isinstance(info, inspect.StructType)
    return {field.encode_name.lower(): (field.encode_name, field.type) for field in info.fields}


def _as_go_reads(value: Any, info: inspect.Type) -> Any:
    if isinstance(info, inspect.UnionType):
        info = next((x for x in info.types if isinstance(x, _CONTAINERS) and isinstance(value, _shape(x))), info)
    if isinstance(info, inspect.StructType) and isinstance(value, dict):
        fields, read = _fields(info.cls), {}
        for key, item in value.items():
            name, kind = fields.get(key.lower(), ("", info))
            if name and item is not None:
                read[name] = _as_go_reads(item, kind)
        return read
    if isinstance(info, inspect.ListType) and isinstance(value, list):
        return [_as_go_reads(item, info.item_type) for item in value]
    if isinstance(info, inspect.DictType) and isinstance(value, dict):
        return {key: _as_go_reads(item, info.value_type) for key, item in value.items()}
    if value is None and isinstance(info, inspect.StrType):
        return ""
    return value


_CONTAINERS = (inspect.StructType, inspect.ListType, inspect.DictType)


def _shape(info: inspect.Type) -> type:
    return list if isinstance(info, inspect.ListType) else dict


def timestamp(seconds: float) -> str:
    """RFC 3339 in UTC with nanosecond digits, from Unix seconds; zero is Go's zero time."""
    return timestamp_ns(int(seconds * 1_000_000_000))


def timestamp_ns(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nanoseconds, as Go prints them (trailing zeros cut); zero is Go's zero time."""
    if nanoseconds <= 0:
        return ZERO_TIME
    whole, fraction = divmod(nanoseconds, 1_000_000_000)
    head = datetime.fromtimestamp(whole, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{head}.{digits}Z" if digits else f"{head}Z"

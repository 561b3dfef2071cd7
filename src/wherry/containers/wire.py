"""Docker's JSON spelling: field names, nulls, times. Everything in ``config.py`` is spelled by this file.

Go's decoder reads ``null`` as "not given" for every field; ``decode`` does the same by dropping null members
of objects whose names are field names, so that numbers, strings and booleans need no ``| None``.
"""

from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

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
        return msgspec.convert(without_nulls(msgspec.json.decode(body)), kind)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise InvalidParameter(f"invalid JSON: {exc}") from exc


def without_nulls(value: Any) -> Any:
    """Drop null members named like fields (upper-case initial); a map's own keys, such as ports, are kept."""
    if isinstance(value, dict):
        return {
            key: without_nulls(item)
            for key, item in value.items()
            if item is not None or not (isinstance(key, str) and key[:1].isupper())
        }
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


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

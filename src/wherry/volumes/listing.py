"""Volumes as the API shows them: inspect, list with filters, sizes for ``system df``."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from wherry.errors import InvalidParameter
from wherry.volumes.local import DRIVER
from wherry.volumes.store import Volume, Volumes

_FILTERS = ("dangling", "driver", "label", "name")


def inspect(volumes: Volumes, name: str) -> dict[str, Any]:
    """Docker's Volume object."""
    return describe(volumes.get(name))


def list_volumes(volumes: Volumes, filters: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Docker's VolumeListResponse."""
    for key in filters:
        if key not in _FILTERS:
            raise InvalidParameter(f"invalid filter '{key}'")
    return {
        "Volumes": [describe(v) for v in volumes.all() if _matches(volumes, v, filters)],
        "Warnings": None,
    }


def usage(volumes: Volumes) -> list[dict[str, Any]]:
    """Every volume with its UsageData, for ``/system/df``."""
    return [
        describe(volume)
        | {"UsageData": {"Size": volumes.driver.size_bytes(volume.name), "RefCount": len(volumes.users(volume.name))}}
        for volume in volumes.all()
    ]


def describe(volume: Volume) -> dict[str, Any]:
    """Docker's Volume object of one volume."""
    return {
        "CreatedAt": datetime.fromtimestamp(volume.created_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "Driver": DRIVER,
        "Labels": volume.labels,
        "Mountpoint": volume.mountpoint,
        "Name": volume.name,
        "Options": dict(sorted(volume.options.items())) if volume.options is not None else None,
        "Scope": "local",
    }


def _matches(volumes: Volumes, volume: Volume, filters: Mapping[str, Sequence[str]]) -> bool:
    names = filters.get("name", ())
    if names and not any(name in volume.name for name in names):
        return False
    drivers = filters.get("driver", ())
    if drivers and DRIVER not in drivers:
        return False
    for wanted in filters.get("label", ()):
        key, separator, value = wanted.partition("=")
        labels = volume.labels or {}
        if key not in labels or (separator and labels[key] != value):
            return False
    for wanted in filters.get("dangling", ()):
        if wanted.lower() not in ("true", "1", "false", "0"):
            raise InvalidParameter(f"invalid filter 'dangling=[{wanted}]'")
        if (wanted.lower() in ("true", "1")) == bool(volumes.users(volume.name)):
            return False
    return True

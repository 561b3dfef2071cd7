"""HostConfig's limits as OCI ``linux.resources`` (without the devices)."""

import os
from typing import Any

from wherry.containers.config import HostConfig, Resources, ThrottleDevice
from wherry.errors import InvalidParameter
from wherry.settings import Settings

_CPU_PERIOD_MICROSECONDS = 100_000


def build_resources(host: HostConfig, settings: Settings) -> dict[str, Any]:
    """Only limits that are set, and the pids limit, which always is (S67) unless -1 asks for none."""
    resources = limits(host)
    pids = host.pids_limit if host.pids_limit else settings.default_pids_limit
    resources["pids"] = {"limit": pids}
    return resources


def limits(resources: Resources) -> dict[str, Any]:
    """Memory, CPU and block I/O of a Resources object; for the spec and for ``update``."""
    result: dict[str, Any] = {}
    memory = {
        "limit": resources.memory,
        "reservation": resources.memory_reservation,
        "swap": resources.memory_swap,
        "kernelTCP": resources.kernel_memory_tcp,
    }
    memory = {key: value for key, value in memory.items() if value}
    if resources.memory_swappiness is not None and resources.memory_swappiness >= 0:
        memory["swappiness"] = resources.memory_swappiness
    if resources.oom_kill_disable:
        memory["disableOOMKiller"] = True
    cpu: dict[str, Any] = {
        "shares": resources.cpu_shares,
        "quota": resources.cpu_quota,
        "period": resources.cpu_period,
        "realtimeRuntime": resources.cpu_realtime_runtime,
        "realtimePeriod": resources.cpu_realtime_period,
        "cpus": resources.cpuset_cpus,
        "mems": resources.cpuset_mems,
    }
    if resources.nano_cpus:
        cpu["period"] = _CPU_PERIOD_MICROSECONDS
        cpu["quota"] = resources.nano_cpus * _CPU_PERIOD_MICROSECONDS // 1_000_000_000
    for name, part in (("memory", memory), ("cpu", cpu), ("blockIO", _block_io(resources))):
        part = {key: value for key, value in part.items() if value or value is False or key == "swappiness"}
        if part:
            result[name] = part
    return result


def _block_io(resources: Resources) -> dict[str, Any]:
    result: dict[str, Any] = {"weight": resources.blkio_weight}
    weights = []
    for entry in resources.blkio_weight_device or ():
        major, minor = _device_number(entry.path)
        weights.append({"major": major, "minor": minor, "weight": entry.weight})
    result["weightDevice"] = weights
    for name, entries in (
        ("throttleReadBpsDevice", resources.blkio_device_read_bps),
        ("throttleWriteBpsDevice", resources.blkio_device_write_bps),
        ("throttleReadIOPSDevice", resources.blkio_device_read_iops),
        ("throttleWriteIOPSDevice", resources.blkio_device_write_iops),
    ):
        result[name] = [_throttle(entry) for entry in entries or ()]
    return result


def _throttle(entry: ThrottleDevice) -> dict[str, int]:
    major, minor = _device_number(entry.path)
    return {"major": major, "minor": minor, "rate": entry.rate}


def _device_number(path: str) -> tuple[int, int]:
    try:
        number = os.stat(path).st_rdev
    except OSError as exc:
        raise InvalidParameter(f"stat block device {path}: {exc.strerror}") from exc
    return os.major(number), os.minor(number)

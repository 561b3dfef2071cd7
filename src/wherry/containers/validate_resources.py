"""Limits that make no sense are refused with dockerd's words (moby ``daemon_unix.go``)."""

import os
import re

from wherry.containers.cdi import check_requests
from wherry.containers.config import HostConfig, Resources, Ulimit
from wherry.errors import InvalidParameter

MIN_MEMORY_BYTES = 6 << 20
ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio",
    "rttime", "sigpending", "stack",
)  # fmt: skip
_DEVICE_RULE = re.compile(r"[acb] ([0-9]+|\*):([0-9]+|\*) [rwm]{1,3}\Z")


def check_resources(resources: Resources, *, current: Resources | None = None) -> None:
    """Raise InvalidParameter for the first bad limit. ``current``: what an update starts from."""
    _check_memory(resources, current)
    _check_cpu(resources)
    if resources.cpu_shares < 0:
        raise InvalidParameter("shares: invalid argument")
    if resources.blkio_weight and not 10 <= resources.blkio_weight <= 1000:
        raise InvalidParameter("Range of blkio weight is from 10 to 1000")
    for rule in resources.device_cgroup_rules or ():
        if not _DEVICE_RULE.match(rule):
            raise InvalidParameter(f"invalid device cgroup rule format: '{rule}'")
    for ulimit in resources.ulimits or ():
        _check_ulimit(ulimit)
    for device in resources.devices or ():
        if not set(device.cgroup_permissions) <= set("rwm"):
            raise InvalidParameter(f"invalid device mode: {device.cgroup_permissions}")
    check_requests(resources.device_requests or ())


def check_host_limits(host: HostConfig) -> None:
    """The limits outside Resources."""
    if not -1000 <= host.oom_score_adj <= 1000:
        raise InvalidParameter(f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    if host.shm_size < 0:
        raise InvalidParameter("SHM size can not be less than 0")


def _check_memory(new: Resources, current: Resources | None) -> None:
    memory = new.memory or (current.memory if current else 0)
    swap = new.memory_swap or (current.memory_swap if current else 0)
    reservation = new.memory_reservation or (current.memory_reservation if current else 0)
    if new.memory < 0 or 0 < new.memory < MIN_MEMORY_BYTES:
        raise InvalidParameter("Minimum memory limit allowed is 6MB")
    if memory > 0 and 0 < swap < memory:
        if current:
            raise InvalidParameter(
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the "
                "same time"
            )
        raise InvalidParameter("Minimum memoryswap limit should be larger than memory limit, see usage")
    if memory == 0 and swap > 0:
        raise InvalidParameter("You should always set the Memory limit when using Memoryswap limit, see usage")
    swappiness = new.memory_swappiness
    if swappiness is not None and not -1 <= swappiness <= 100:
        raise InvalidParameter(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if 0 < new.memory_reservation < MIN_MEMORY_BYTES:
        raise InvalidParameter("Minimum memory reservation allowed is 6MB")
    if memory > 0 and memory < reservation:
        raise InvalidParameter("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_cpu(new: Resources) -> None:
    if new.nano_cpus and new.cpu_period:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if new.nano_cpus and new.cpu_quota:
        raise InvalidParameter("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    count = os.cpu_count() or 1
    if new.nano_cpus < 0 or new.nano_cpus > count * 1_000_000_000:
        raise InvalidParameter(f"range of CPUs is from 0.01 to {count}.00, as there are only {count} CPUs available")
    if new.cpu_period and not 1000 <= new.cpu_period <= 1_000_000:
        raise InvalidParameter("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < new.cpu_quota < 1000:
        raise InvalidParameter("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if new.cpu_percent or new.cpu_count:
        raise InvalidParameter("CPU percent and CPU count are options of Windows containers")
    _check_cpuset(new.cpuset_cpus, "cpus", "CPUs", "/sys/devices/system/cpu/online")
    _check_cpuset(new.cpuset_mems, "mems", "memory nodes", "/sys/devices/system/node/online")


def parse_cpuset(text: str) -> set[int]:
    """``0-2,4`` → {0, 1, 2, 4}; ValueError for anything else or numbers past 8191."""
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, separator, last = part.partition("-")
        low, high = int(first), int(last if separator else first)
        if not 0 <= low <= high <= 8191:
            raise ValueError(text)
        numbers.update(range(low, high + 1))
    return numbers


def _check_cpuset(text: str, word: str, what: str, online_path: str) -> None:
    if not text:
        return
    try:
        wanted = parse_cpuset(text)
    except ValueError as exc:
        raise InvalidParameter(f"Invalid value {text} for cpuset {word}") from exc
    try:
        with open(online_path, encoding="ascii") as file:
            available = file.read().strip()
    except FileNotFoundError:
        available = "0"  # a kernel without NUMA has one node
    if not wanted <= parse_cpuset(available):
        raise InvalidParameter(f"Requested {what} are not available - requested {text}, available: {available}")


def _check_ulimit(ulimit: Ulimit) -> None:
    if ulimit.name not in ULIMITS:
        raise InvalidParameter(f"invalid ulimit type: {ulimit.name}")
    if ulimit.hard != -1 and (ulimit.soft == -1 or ulimit.soft > ulimit.hard):
        raise InvalidParameter(
            f"ulimit soft limit must be less than or equal to hard limit: {ulimit.soft} > {ulimit.hard}"
        )

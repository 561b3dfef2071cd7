"""OCI ``linux.resources``, which speaks the language of v1, onto the files of cgroup v2."""

from __future__ import annotations

import math

from wherry.record import TYPE_CHECKING
from wherry.runtime.cgroup_base import Resources
from wherry.runtime.cgroup_directory import CgroupDirectory, CgroupFailure
from wherry.runtime.failure import SpecInvalid
from wherry.runtime.resources_v1 import rdma_lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

_DEFAULT_PERIOD_MICROSECONDS = 100_000


def apply(directory: CgroupDirectory, resources: Resources) -> None:
    """Set every limit that ``resources`` names; what is absent or null stays. Raises CgroupFailure, SpecInvalid."""
    if resources.get("network"):
        raise SpecInvalid("network class and priorities are not supported on cgroup v2")
    for key, function in _PARTS.items():
        if resources.get(key):
            function(directory, resources[key])


def weight_from_shares(shares: int) -> int:
    """cpu.weight (1 to 10000) for cpu.shares (2 to 262144), such that both defaults meet: 1024 is 100.

    A curve through minimum, default and maximum, as in runc and crun since 2025; the straight line they had
    before made the default 39, less than what the host's own processes have.
    """
    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    logarithm = math.log2(shares)
    return math.ceil(10 ** ((logarithm * logarithm + 125 * logarithm) / 612 - 7 / 34))


def swap_limit(limit: int | None, swap: int | None) -> int | None:
    """memory.swap.max for OCI's memory+swap: -1 is no limit, None leaves it alone. Raises SpecInvalid."""
    if limit == -1 and not swap:
        return -1
    if not swap or swap == -1:
        return swap or None
    if not limit or limit == -1:
        raise SpecInvalid("unable to set swap limit without memory limit")
    if swap < limit:
        raise SpecInvalid("memory+swap limit should be >= memory limit")
    return swap - limit


def _memory(directory: CgroupDirectory, memory: Mapping[str, Any]) -> None:
    limit = memory.get("limit")
    if limit and limit > 0 and memory.get("checkBeforeUpdate"):
        usage = int(directory.read("memory.current"))
        if limit < usage:
            raise CgroupFailure(f"unable to set memory limit to {limit}: container memory usage is {usage}")
    swap = swap_limit(limit, memory.get("swap"))
    if swap is not None and (swap != -1 or directory.exists("memory.swap.max")):
        directory.write("memory.swap.max", _or_max(swap))
    if limit:
        directory.write("memory.max", _or_max(limit))
    if memory.get("reservation"):
        directory.write("memory.low", _or_max(memory["reservation"]))
    # Without a counterpart in v2, and ignored as runc and Docker do: kernel, kernelTCP, swappiness, disableOOMKiller.


def _cpu(directory: CgroupDirectory, cpu: Mapping[str, Any]) -> None:
    if cpu.get("realtimePeriod") or cpu.get("realtimeRuntime"):
        raise SpecInvalid("real-time scheduling limits are not supported on cgroup v2")
    for key in ("cpus", "mems"):
        if cpu.get(key):
            directory.write(f"cpuset.{key}", cpu[key])
    if cpu.get("idle") is not None:
        directory.write("cpu.idle", cpu["idle"])
    if cpu.get("shares"):
        directory.write("cpu.weight", weight_from_shares(cpu["shares"]))
    quota, period, burst = cpu.get("quota"), cpu.get("period"), cpu.get("burst")
    # The kernel holds burst <= quota at every write: a smaller burst goes before, a larger one behind.
    lower_first = (
        burst is not None and directory.exists("cpu.max.burst") and burst < _number(directory, "cpu.max.burst")
    )
    if lower_first:
        directory.write("cpu.max.burst", burst or 0)
    if quota or period:
        written = quota if quota and quota > 0 else "max"
        if not quota:
            written = directory.read("cpu.max").split()[0]  # only the period changes
        directory.write("cpu.max", f"{written} {period or _DEFAULT_PERIOD_MICROSECONDS}")
    if burst is not None and not lower_first:
        directory.write("cpu.max.burst", burst)


def _pids(directory: CgroupDirectory, pids: Mapping[str, Any]) -> None:
    if pids.get("limit"):
        directory.write("pids.max", _or_max(pids["limit"]))


def _block_io(directory: CgroupDirectory, block_io: Mapping[str, Any]) -> None:
    bfq = directory.exists("io.bfq.weight")
    if block_io.get("weight"):
        _io_weight(directory, block_io["weight"], "default", bfq=bfq)
    for device in block_io.get("weightDevice") or ():
        if device.get("weight"):
            _io_weight(directory, device["weight"], f"{device['major']}:{device['minor']}", bfq=bfq)
    for key, word in (
        ("throttleReadBpsDevice", "rbps"),
        ("throttleWriteBpsDevice", "wbps"),
        ("throttleReadIOPSDevice", "riops"),
        ("throttleWriteIOPSDevice", "wiops"),
    ):
        for device in block_io.get(key) or ():
            rate = device["rate"] or "max"  # 0 takes the limit away, in v1's words
            directory.write("io.max", f"{device['major']}:{device['minor']} {word}={rate}")


def _io_weight(directory: CgroupDirectory, weight: int, whom: str, *, bfq: bool) -> None:
    """BFQ has v1's scale (to 1000), io.weight goes from 1 to 10000 and 10..1000 is spread over it."""
    if bfq:
        directory.write("io.bfq.weight", weight if whom == "default" else f"{whom} {weight}")
    else:
        directory.write("io.weight", f"{whom} {1 + (weight - 10) * 9999 // 990}")


def _huge_pages(directory: CgroupDirectory, limits: Iterable[Mapping[str, Any]]) -> None:
    for entry in limits:
        directory.write(f"hugetlb.{entry['pageSize']}.max", entry["limit"])
        reserved = f"hugetlb.{entry['pageSize']}.rsvd.max"
        if directory.exists(reserved):
            directory.write(reserved, entry["limit"])


def _rdma(directory: CgroupDirectory, rdma: Mapping[str, Mapping[str, Any]]) -> None:
    for line in rdma_lines(rdma):
        directory.write("rdma.max", line)


def _unified(directory: CgroupDirectory, files: Mapping[str, str]) -> None:
    """Files by name, the specification's door to everything that v2 has."""
    available = directory.read("cgroup.controllers").split()
    for name, value in files.items():
        controller = name.partition(".")[0]
        if "/" in name or "\0" in name or not name.partition(".")[2]:
            raise SpecInvalid(f'unified resource "{name}" must be a file name (no slashes)')
        # cgroup.procs, cgroup.kill and their kin are no limits; cgroup.max.depth and .descendants are.
        if controller == "cgroup" and not name.startswith("cgroup.max."):
            raise SpecInvalid(f'unified resource "{name}" is not a limit')
        if controller not in (*available, "cgroup"):
            raise CgroupFailure(f'unified resource "{name}" can\'t be set: controller "{controller}" not available')
        for line in value.splitlines():
            directory.write(name, line)


def _or_max(value: int) -> str:
    return "max" if value < 0 else str(value)


def _number(directory: CgroupDirectory, name: str) -> int:
    return int(directory.read(name) or 0)


# Last the files by name: they have the last word.
_PARTS: dict[str, Callable[[CgroupDirectory, Any], None]] = {
    "cpu": _cpu,
    "memory": _memory,
    "pids": _pids,
    "blockIO": _block_io,
    "hugepageLimits": _huge_pages,
    "rdma": _rdma,
    "unified": _unified,
}

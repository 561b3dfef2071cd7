"""OCI ``linux.resources`` onto the files of cgroup v1, in an order that the kernel accepts at every step."""

from __future__ import annotations

import errno

from wherry.record import TYPE_CHECKING
from wherry.runtime.cgroup_base import Resources
from wherry.runtime.cgroup_directory import CgroupDirectory, CgroupFailure
from wherry.runtime.failure import SpecInvalid
from wherry.security import devices as device_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, TypeAlias

_Find: TypeAlias = "Callable[[str], CgroupDirectory]"


def apply(find: _Find, resources: Resources) -> None:
    """Set every limit that ``resources`` names; what is absent or null stays.

    ``find`` gives a controller's directory. Raises CgroupFailure, SpecInvalid.
    """
    if resources.get("unified"):
        raise SpecInvalid("invalid configuration: cannot use unified on cgroup v1")
    for key, function in _PARTS.items():
        if resources.get(key):
            function(find, resources[key])


def apply_devices(directory: CgroupDirectory, entries: Iterable[Mapping[str, Any]]) -> None:
    """Replace the cgroup's device rules by ``linux.resources.devices`` (with the default rules behind them)."""
    policy = device_policy.container_policy(entries)
    whole, exceptions = ("devices.allow", "devices.deny") if policy.allow_all else ("devices.deny", "devices.allow")
    directory.write(whole, "a")
    directory.write_each(exceptions, map(str, policy.exceptions))


def _memory(find: _Find, memory: Mapping[str, Any]) -> None:
    directory = find("memory")
    limit, swap = memory.get("limit"), memory.get("swap")
    if limit and memory.get("checkBeforeUpdate") and limit > 0:
        usage = int(directory.read("memory.usage_in_bytes"))
        if limit < usage:
            raise CgroupFailure(f"unable to set memory limit to {limit}: container memory usage is {usage}")
    if limit == -1 and not swap and directory.exists("memory.memsw.limit_in_bytes"):
        swap = -1
    if limit and swap:
        # memory+swap may never be below memory: which one goes first depends on the direction.
        now = int(directory.read("memory.limit_in_bytes"))
        if swap == -1 or now < swap:
            directory.write("memory.memsw.limit_in_bytes", swap)
            _memory_limit(directory, limit)
        else:
            _memory_limit(directory, limit)
            directory.write("memory.memsw.limit_in_bytes", swap)
    elif limit:
        _memory_limit(directory, limit)
    elif swap:
        directory.write("memory.memsw.limit_in_bytes", swap)
    for key, name in (("reservation", "memory.soft_limit_in_bytes"), ("kernelTCP", "memory.kmem.tcp.limit_in_bytes")):
        if memory.get(key):
            directory.write(name, memory[key])
    # "kernel" is left out: the kernel dropped that limit (5.16), and Docker and runc ignore it.
    if memory.get("disableOOMKiller") is not None:
        directory.write("memory.oom_control", int(memory["disableOOMKiller"]))
    swappiness = memory.get("swappiness")
    if swappiness is not None and swappiness != -1:
        if not 0 <= swappiness <= 100:
            raise SpecInvalid(f"invalid memory swappiness value: {swappiness} (valid range is 0-100)")
        directory.write("memory.swappiness", swappiness)
    if memory.get("useHierarchy") and directory.read("memory.use_hierarchy").strip() == "0":
        directory.write("memory.use_hierarchy", 1)


def _memory_limit(directory: CgroupDirectory, limit: int) -> None:
    try:
        directory.write_raw("memory.limit_in_bytes", limit)
    except OSError as exc:
        if exc.errno != errno.EBUSY:
            raise directory.failure(f"write '{limit}' to memory.limit_in_bytes", exc) from exc
        usage, peak = (int(directory.read(f"memory.{name}usage_in_bytes")) for name in ("", "max_"))
        raise CgroupFailure(
            f"unable to set memory limit to {limit} (current usage: {usage}, peak usage: {peak})"
        ) from exc


def _cpu(find: _Find, cpu: Mapping[str, Any]) -> None:
    for key in ("cpus", "mems"):
        if cpu.get(key):
            find("cpuset").write(f"cpuset.{key}", cpu[key])
    if cpu.get("shares"):
        directory = find("cpu")
        directory.write("cpu.shares", cpu["shares"])
        # The kernel clamps in silence.
        if (set_to := int(directory.read("cpu.shares"))) != cpu["shares"]:
            bound = "maximum" if cpu["shares"] > set_to else "minimum"
            raise CgroupFailure(f"the {bound} allowed cpu-shares is {set_to}")
    if cpu.get("idle") is not None:
        find("cpu").write("cpu.idle", cpu["idle"])
    for key, name in (("realtimePeriod", "cpu.rt_period_us"), ("realtimeRuntime", "cpu.rt_runtime_us")):
        if cpu.get(key):
            find("cpu").write(name, cpu[key])
    _bandwidth(find, cpu)


def _bandwidth(find: _Find, cpu: Mapping[str, Any]) -> None:
    """Period, quota and burst. The kernel checks each write against the other two as they are at that moment."""
    names = {"period": "cpu.cfs_period_us", "quota": "cpu.cfs_quota_us", "burst": "cpu.cfs_burst_us"}
    # A burst of 0 means something (take it away), the others' 0 does not.
    pending = [(names[key], cpu[key]) for key in names if cpu.get(key) or (key == "burst" and cpu.get(key) == 0)]
    while pending:
        failed = []
        for name, value in pending:
            try:
                find("cpu").write_raw(name, value)
            except OSError as exc:
                failed.append((name, value, exc))
        if len(failed) == len(pending):
            name, value, cause = failed[0]
            raise find("cpu").failure(f"write '{value}' to {name}", cause) from cause
        pending = [(name, value) for name, value, _ in failed]


def _pids(find: _Find, pids: Mapping[str, Any]) -> None:
    limit = pids.get("limit")
    if limit:
        find("pids").write("pids.max", "max" if limit < 0 else limit)


def _block_io(find: _Find, block_io: Mapping[str, Any]) -> None:
    directory = find("blkio")
    for key, name in (("weight", "weight"), ("leafWeight", "leaf_weight")):
        if block_io.get(key):
            directory.write(_weight_file(directory, name), block_io[key])
    for device in block_io.get("weightDevice") or ():
        numbers = f"{device['major']}:{device['minor']}"
        for key, name in (("weight", "weight_device"), ("leafWeight", "leaf_weight_device")):
            if device.get(key):
                directory.write(_weight_file(directory, name), f"{numbers} {device[key]}")
    for key, name in (
        ("throttleReadBpsDevice", "read_bps_device"),
        ("throttleWriteBpsDevice", "write_bps_device"),
        ("throttleReadIOPSDevice", "read_iops_device"),
        ("throttleWriteIOPSDevice", "write_iops_device"),
    ):
        for device in block_io.get(key) or ():
            directory.write(f"blkio.throttle.{name}", f"{device['major']}:{device['minor']} {device['rate']}")


def _weight_file(directory: CgroupDirectory, name: str) -> str:
    """The BFQ scheduler has files of its own, CFQ had the plain ones."""
    return f"blkio.{name}" if directory.exists(f"blkio.{name}") else f"blkio.bfq.{name}"


def _huge_pages(find: _Find, limits: Iterable[Mapping[str, Any]]) -> None:
    for entry in limits:
        directory = find("hugetlb")
        directory.write(f"hugetlb.{entry['pageSize']}.limit_in_bytes", entry["limit"])
        reserved = f"hugetlb.{entry['pageSize']}.rsvd.limit_in_bytes"
        if directory.exists(reserved):
            directory.write(reserved, entry["limit"])


def _network(find: _Find, network: Mapping[str, Any]) -> None:
    if network.get("classID"):
        find("net_cls").write("net_cls.classid", network["classID"])
    for entry in network.get("priorities") or ():
        find("net_prio").write("net_prio.ifpriomap", f"{entry['name']} {entry['priority']}")


def _rdma(find: _Find, rdma: Mapping[str, Mapping[str, Any]]) -> None:
    for line in rdma_lines(rdma):
        find("rdma").write("rdma.max", line)


def rdma_lines(rdma: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """A line of rdma.max per device (the same in v1 and v2)."""
    lines = []
    for name, limits in rdma.items():
        given = (
            (word, limits.get(key)) for key, word in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
        )
        lines.append(" ".join([name, *(f"{word}={limit}" for word, limit in given if limit is not None)]))
    return lines


# In this order; cpuset before the first process comes is what matters.
_PARTS: dict[str, Callable[[_Find, Any], None]] = {
    "cpu": _cpu,
    "memory": _memory,
    "pids": _pids,
    "blockIO": _block_io,
    "hugepageLimits": _huge_pages,
    "network": _network,
    "rdma": _rdma,
}

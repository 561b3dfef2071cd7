"""Resource usage as others write it: Docker's /containers/<id>/stats and runc's ``events --stats``.

Both start from the dict that ``stats.py`` describes.
"""

import os
from typing import Any


def host_cpu_nanoseconds() -> int:
    """What all CPUs have spent since boot, idle included: the base of Docker's CPU percentage."""
    with open("/proc/stat", "rb") as file:
        ticks = file.readline().split()[1:8]  # user nice system idle iowait irq softirq, as Docker adds them
    return sum(map(int, ticks)) * 1_000_000_000 // os.sysconf("SC_CLK_TCK")


def docker_stats(reading: dict[str, Any]) -> dict[str, Any]:
    """The parts of Docker's /containers/<id>/stats that come from cgroups: cpu_stats, memory_stats, blkio_stats,
    pids_stats. ``system_cpu_usage`` is read now: call this right after ``read_stats``."""
    cpu, memory, pids = reading["cpu"], reading["memory"], reading["pids"]
    cpu_usage = {
        "total_usage": cpu["usage"],
        "usage_in_kernelmode": cpu["kernel"],
        "usage_in_usermode": cpu["user"],
    }
    memory_stats = {"usage": memory["usage"], "stats": memory["stats"], "limit": _within_machine(memory["limit"])}
    if reading["version"] == 1:
        cpu_usage["percpu_usage"] = cpu["percpu"]
        memory_stats |= {"max_usage": memory["max_usage"], "failcnt": memory["failcnt"]}
    names = ("io_service_bytes", "io_serviced", "io_queue", "io_service_time", "io_wait_time", "io_merged", "io_time")
    empty: list[Any] | None = [] if reading["version"] == 1 else None
    blkio = {f"{name}_recursive": _docker_entries(reading["io"].get(name)) or empty for name in names}
    return {
        "cpu_stats": {
            "cpu_usage": cpu_usage,
            "system_cpu_usage": host_cpu_nanoseconds(),
            "online_cpus": os.cpu_count() or 1,
            "throttling_data": {key: cpu[key] for key in ("periods", "throttled_periods", "throttled_time")},
        },
        "memory_stats": memory_stats,
        "blkio_stats": blkio | {"sectors_recursive": empty},
        "pids_stats": {"current": pids["current"]} | ({"limit": pids["limit"]} if pids["limit"] else {}),
    }


def runc_stats(reading: dict[str, Any]) -> dict[str, Any]:
    """The ``data`` of a ``runc events --stats`` line (runc's types/events.go)."""
    cpu, memory = reading["cpu"], reading["memory"]
    entries = {
        f"{key}Recursive": [dict(zip(("major", "minor", "op", "value"), entry, strict=True)) for entry in entries]
        for key, entries in (
            ("ioServiceBytes", reading["io"].get("io_service_bytes")),
            ("ioServiced", reading["io"].get("io_serviced")),
        )
        if entries
    }
    return {
        "cpu": {
            "usage": {
                "total": cpu["usage"],
                "percpu": cpu["percpu"],
                "percpu_kernel": cpu["percpu_kernel"],
                "percpu_user": cpu["percpu_user"],
                "kernel": cpu["kernel"],
                "user": cpu["user"],
            },
            "throttling": {
                "periods": cpu["periods"],
                "throttledPeriods": cpu["throttled_periods"],
                "throttledTime": cpu["throttled_time"],
            },
        },
        "memory": {
            "cache": memory["stats"].get("total_cache", memory["stats"].get("file", 0)),
            "usage": _runc_usage(memory),
            "swap": _runc_usage(memory["swap"]),
            "kernel": _runc_usage(memory["kernel"]),
            "kernelTCP": _runc_usage(memory["kernel_tcp"]),
            "raw": memory["stats"],
            "event_count": {"oom_kill": reading["oom_kills"]},
        },
        "pids": {key: value for key, value in reading["pids"].items() if value},
        "blkio": entries,
        "hugetlb": reading["hugetlb"],
        "intel_rdt": {},
        "network_interfaces": None,
    }


def _runc_usage(usage: dict[str, Any]) -> dict[str, Any]:
    return {
        # No limit is the largest number there is, as in runc.
        "limit": usage["limit"] if usage["limit"] is not None else (1 << 64) - 1,
        "usage": usage["usage"] or 0,
        "max": usage["max_usage"] or 0,
        "failcnt": usage["failcnt"] or 0,
    }


def _docker_entries(entries: list[list[Any]] | None) -> list[dict[str, Any]]:
    return [dict(zip(("major", "minor", "op", "value"), entry, strict=True)) for entry in entries or ()]


def _within_machine(limit: int | None) -> int:
    """Docker shows the machine's memory where there is no lower limit."""
    total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return total if limit is None else min(limit, total)

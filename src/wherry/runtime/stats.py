"""A container's resource usage, read from its cgroups into a plain dict. ``stats_format.py`` shapes it.

The dict (units: bytes, nanoseconds, counts)::

    {"version": 1 | 2,
     "cpu": {"usage", "user", "kernel", "percpu", "percpu_user", "percpu_kernel" (lists, empty on v2),
             "periods", "throttled_periods", "throttled_time"},
     "memory": {"usage", "max_usage", "failcnt", "limit" (each None where the kernel has none; limit too: no limit),
                "swap": {the same four}, "kernel": …, "kernel_tcp": …, "stats": {name: value of memory.stat}},
     "pids": {"current", "limit" (0: no limit)},
     "io": {"io_service_bytes" | "io_serviced": [[major, minor, operation, value], …]},
     "hugetlb": {page size: {"usage", "max", "failcnt"}},
     "oom_kills": n}

A controller that is not there leaves zeros.
"""

from __future__ import annotations

import os

from wherry.record import TYPE_CHECKING
from wherry.runtime.cgroup_base import Cgroups
from wherry.runtime.cgroup_directory import CgroupDirectory

if TYPE_CHECKING:
    from typing import Any

# memory limits of v1 from here on are "none": the kernel rounds LONG_MAX down to a page.
_NO_LIMIT_V1 = 0x7FFFFFFFFFF00000

_USAGE = ("usage", "max_usage", "failcnt", "limit")


def read_stats(cgroups: Cgroups) -> dict[str, Any]:
    """The usage now. Raises CgroupFailure when the cgroups are gone."""
    reading = _read_v2(cgroups) if cgroups.version == 2 else _read_v1(cgroups)
    reading["version"] = cgroups.version
    reading["oom_kills"] = cgroups.oom_kills()
    return reading


def _read_v1(cgroups: Cgroups) -> dict[str, Any]:
    cpu = dict.fromkeys(("usage", "user", "kernel", "periods", "throttled_periods", "throttled_time"), 0)
    percpu: dict[str, list[int]] = {"percpu": [], "percpu_user": [], "percpu_kernel": []}
    if cgroups.has("cpuacct"):
        directory = cgroups.directory("cpuacct")
        rows = [line.split() for line in directory.read("cpuacct.usage_all").splitlines()[1:]]
        percpu["percpu_user"] = [int(user) for _, user, _ in rows]
        percpu["percpu_kernel"] = [int(system) for _, _, system in rows]
        percpu["percpu"] = [int(word) for word in directory.read("cpuacct.usage_percpu").split()]
        cpu["usage"] = sum(percpu["percpu"])
        cpu["user"], cpu["kernel"] = sum(percpu["percpu_user"]), sum(percpu["percpu_kernel"])
    if cgroups.has("cpu"):
        stat = _flat(cgroups.directory("cpu").read("cpu.stat"))
        cpu["periods"], cpu["throttled_periods"] = stat.get("nr_periods", 0), stat.get("nr_throttled", 0)
        cpu["throttled_time"] = stat.get("throttled_time", 0)
    memory: dict[str, Any] = _no_memory()
    if cgroups.has("memory"):
        directory = cgroups.directory("memory")
        memory = _usage_v1(directory, "memory.")
        for key, prefix in (("swap", "memsw"), ("kernel", "kmem"), ("kernel_tcp", "kmem.tcp")):
            memory[key] = _usage_v1(directory, f"memory.{prefix}.")
        memory["stats"] = _flat(directory.read("memory.stat"))
    pids = {"current": 0, "limit": 0}
    if cgroups.has("pids"):
        pids = _pids(cgroups.directory("pids"))
    block: dict[str, list[list[Any]]] = {}
    if cgroups.has("blkio"):
        for key in ("io_service_bytes", "io_serviced"):
            block[key] = _block_lines(cgroups.directory("blkio"), key)
    pages: dict[str, Any] = {}
    if cgroups.has("hugetlb"):
        pages = _huge_pages(cgroups.directory("hugetlb"), "usage_in_bytes", "max_usage_in_bytes", "failcnt")
    return {"cpu": cpu | percpu, "memory": memory, "pids": pids, "io": block, "hugetlb": pages}


def _read_v2(cgroups: Cgroups) -> dict[str, Any]:
    directory = cgroups.directory("")
    stat = _flat(_optional(directory, "cpu.stat"))
    cpu: dict[str, Any] = {
        "usage": stat.get("usage_usec", 0) * 1000,
        "user": stat.get("user_usec", 0) * 1000,
        "kernel": stat.get("system_usec", 0) * 1000,
        "percpu": [],
        "percpu_user": [],
        "percpu_kernel": [],
        "periods": stat.get("nr_periods", 0),
        "throttled_periods": stat.get("nr_throttled", 0),
        "throttled_time": stat.get("throttled_usec", 0) * 1000,
    }
    memory = _no_memory()
    if cgroups.has("memory"):
        memory |= {
            "usage": int(directory.read("memory.current")),
            "limit": _limit(directory.read("memory.max")),
            "max_usage": _integer(_optional(directory, "memory.peak")),
            "failcnt": _flat(directory.read("memory.events")).get("max", 0),
            "stats": _flat(directory.read("memory.stat")),
        }
        memory["swap"] |= {
            "usage": _integer(_optional(directory, "memory.swap.current")),
            "limit": _limit(_optional(directory, "memory.swap.max")),
            "max_usage": _integer(_optional(directory, "memory.swap.peak")),
        }
    return {
        "cpu": cpu,
        "memory": memory,
        "pids": _pids(directory) if cgroups.has("pids") else {"current": 0, "limit": 0},
        "io": _io_stat(_optional(directory, "io.stat")),
        "hugetlb": _huge_pages(directory, "current", "", "events") if cgroups.has("hugetlb") else {},
    }


def _no_memory() -> dict[str, Any]:
    nothing: dict[str, Any] = {"usage": 0, "max_usage": None, "failcnt": None, "limit": None, "stats": {}}
    return nothing | {key: dict.fromkeys(_USAGE) for key in ("swap", "kernel", "kernel_tcp")}


def _usage_v1(directory: CgroupDirectory, prefix: str) -> dict[str, Any]:
    names = ("usage_in_bytes", "max_usage_in_bytes", "failcnt", "limit_in_bytes")
    values = [_integer(_optional(directory, prefix + name)) for name in names]
    usage = dict(zip(_USAGE, values, strict=True))
    if usage["limit"] is not None and usage["limit"] >= _NO_LIMIT_V1:
        usage["limit"] = None
    return usage


def _pids(directory: CgroupDirectory) -> dict[str, int]:
    return {"current": int(directory.read("pids.current")), "limit": _limit(directory.read("pids.max")) or 0}


def _block_lines(directory: CgroupDirectory, key: str) -> list[list[Any]]:
    """The throttler counts every request, BFQ only those of its own devices."""
    for prefix in ("blkio.throttle.", "blkio.bfq.", "blkio."):
        lines = [line.split() for line in _optional(directory, f"{prefix}{key}_recursive").splitlines()]
        found = [[*map(int, words[0].split(":")), words[1], int(words[2])] for words in lines if len(words) == 3]
        if found:
            return found
    return []


def _io_stat(text: str) -> dict[str, list[list[Any]]]:
    """io.stat: ``8:0 rbytes=1 wbytes=2 rios=3 wios=4 …``."""
    words = {
        "rbytes": ("io_service_bytes", "read"),
        "wbytes": ("io_service_bytes", "write"),
        "rios": ("io_serviced", "read"),
        "wios": ("io_serviced", "write"),
    }
    result: dict[str, list[list[Any]]] = {"io_service_bytes": [], "io_serviced": []}
    for line in text.splitlines():
        device, *pairs = line.split()
        if ":" not in device:
            continue
        for pair in pairs:
            word, _, value = pair.partition("=")
            if word in words:
                key, operation = words[word]
                result[key].append([*map(int, device.split(":")), operation, int(value)])
    return result


def _huge_pages(directory: CgroupDirectory, usage: str, peak: str, failures: str) -> dict[str, Any]:
    result = {}
    for name in os.listdir(directory.fd):
        controller, _, rest = name.partition(".")
        page_size, _, file = rest.partition(".")
        if (controller, file) == ("hugetlb", usage):
            prefix = f"hugetlb.{page_size}."
            failed = _optional(directory, prefix + failures)
            result[page_size] = {
                "usage": int(directory.read(name)),
                "max": (_integer(_optional(directory, prefix + peak)) or 0) if peak else 0,
                "failcnt": _flat(failed).get("max", 0) if " " in failed else _integer(failed) or 0,
            }
    return result


def _optional(directory: CgroupDirectory, name: str) -> str:
    """A file that not every kernel has, or not every build of it."""
    try:
        return directory.read(name)
    except FileNotFoundError:
        return ""
    except OSError:
        if directory.exists(name):
            return ""  # EOPNOTSUPP: the feature is switched off at boot (swapaccount=0)
        raise


def _flat(text: str) -> dict[str, int]:
    """Lines of ``name value``."""
    pairs = (line.split() for line in text.splitlines())
    return {words[0]: int(words[1]) for words in pairs if len(words) == 2}


def _integer(text: str) -> int | None:
    return int(text) if text.strip() else None


def _limit(text: str) -> int | None:
    return _integer(text) if text.strip() != "max" else None

"""pause, resume, update, events."""

import argparse
import json
import re
import sys
import time
from collections.abc import Callable
from typing import Any

from wherry.errors import Conflict, InvalidParameter
from wherry.runtime import state
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.command import Arguments, Command, GlobalOptions, add_container_id
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.state import ContainerState, Status
from wherry.runtime.stats import read_stats
from wherry.runtime.stats_format import runc_stats

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

# option → (section, key) of the OCI resources
_LIMITS = {
    "blkio_weight": ("blockIO", "weight"),
    "cpu_period": ("cpu", "period"),
    "cpu_quota": ("cpu", "quota"),
    "cpu_burst": ("cpu", "burst"),
    "cpu_share": ("cpu", "shares"),
    "cpu_rt_period": ("cpu", "realtimePeriod"),
    "cpu_rt_runtime": ("cpu", "realtimeRuntime"),
    "memory": ("memory", "limit"),
    "memory_reservation": ("memory", "reservation"),
    "memory_swap": ("memory", "swap"),
    "pids_limit": ("pids", "limit"),
}
_LISTS = {"cpuset_cpus": ("cpu", "cpus"), "cpuset_mems": ("cpu", "mems")}


def _held(kept: ContainerState) -> Cgroups:
    held = kept.open_cgroups()
    if held is None:
        raise RuntimeFailure(f"container {kept.container_id} has no cgroup")
    return held


def _pause(options: GlobalOptions, arguments: Arguments, _warn: Callable[[str], None]) -> int:
    kept = state.load(options.root, arguments.text("container_id"))
    status = kept.status()
    if status is Status.STOPPED:
        raise Conflict("container not running")
    if status is Status.PAUSED:
        raise Conflict("container already paused")
    held = _held(kept)
    try:
        held.freeze()
    finally:
        held.close()
    return 0


def _resume(options: GlobalOptions, arguments: Arguments, _warn: Callable[[str], None]) -> int:
    kept = state.load(options.root, arguments.text("container_id"))
    held = _held(kept)
    try:
        if not held.is_frozen():
            raise Conflict("container not paused")
        held.thaw()
    finally:
        held.close()
    return 0


def _update_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--resources", "-r", help="file with the resources to update, '-' for standard input")
    for option in (*_LIMITS, *_LISTS, "l3_cache_schema", "mem_bw_schema"):
        parser.add_argument("--" + option.replace("_", "-"))
    parser.add_argument("--cpu-idle", type=int)
    parser.add_argument("--kernel-memory", help="obsolete, ignored")
    parser.add_argument("--kernel-memory-tcp", help="obsolete, ignored")
    add_container_id(parser)


def _update(options: GlobalOptions, arguments: Arguments, warn: Callable[[str], None]) -> int:
    kept = state.load(options.root, arguments.text("container_id"))
    if kept.status() is Status.STOPPED:
        raise Conflict("container not running")
    if arguments.optional("l3_cache_schema") or arguments.optional("mem_bw_schema"):
        raise InvalidParameter("Intel RDT is not supported by this runtime")
    if arguments.optional("kernel_memory") or arguments.optional("kernel_memory_tcp"):
        warn("Kernel memory settings are ignored and will be removed")
    resources = _read_resources(arguments.text("resources")) if arguments.optional("resources") else {}
    if not resources:
        resources = _resources(arguments)
    held = _held(kept)
    try:
        held.update(resources)
    finally:
        held.close()
    return 0


def _read_resources(path: str) -> dict[str, Any]:
    try:
        if path == "-":
            loaded = json.load(sys.stdin)
        else:
            with open(path, encoding="utf-8") as file:
                loaded = json.load(file)
    except ValueError as exc:
        raise SpecInvalid(f"read resources {path}: {exc}") from exc
    if not isinstance(loaded, dict):
        raise SpecInvalid(f"read resources {path}: not a JSON object")
    return loaded


def _resources(arguments: Arguments) -> dict[str, Any]:
    result: dict[str, dict[str, Any]] = {}
    for option, (section, key) in _LIMITS.items():
        text = arguments.optional(option)
        if text is not None:
            result.setdefault(section, {})[key] = parse_size(text)
    for option, (section, key) in _LISTS.items():
        text = arguments.optional(option)
        if text is not None:
            result.setdefault(section, {})[key] = text
    if arguments.optional("cpu_idle") is not None:
        result.setdefault("cpu", {})["idle"] = arguments.number("cpu_idle")
    return result


def parse_size(text: str) -> int:
    """Bytes with an optional k, m, g or t suffix (1024-based); -1 is allowed. Raises InvalidParameter."""
    match = re.fullmatch(r"(-?\d+)([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise InvalidParameter(f"invalid value {text!r}: not a number")
    return int(match[1]) << 10 * " kmgt".index(match[2] or " ")


def _events_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--interval", default="5s", help="interval of the statistics")
    parser.add_argument("--stats", action="store_true", help="show the statistics once")
    add_container_id(parser)


def _events(options: GlobalOptions, arguments: Arguments, _warn: Callable[[str], None]) -> int:
    kept = state.load(options.root, arguments.text("container_id"))
    if kept.status() is Status.STOPPED:
        raise Conflict(f"container with id {kept.container_id} is not running")
    match = _DURATION.fullmatch(arguments.text("interval"))
    if match is None or float(match[1]) <= 0:
        raise InvalidParameter("duration interval must be greater than 0")
    interval = float(match[1]) * _SECONDS[match[2]]
    held = _held(kept)
    try:
        kills = held.oom_kills()
        while True:
            _emit("stats", kept.container_id, runc_stats(read_stats(held)))
            if arguments.flag("stats"):
                return 0
            time.sleep(interval)
            if kept.status() is Status.STOPPED:
                return 0
            if held.oom_kills() > kills:
                kills = held.oom_kills()
                _emit("oom", kept.container_id, None)
    finally:
        held.close()


def _emit(kind: str, container_id: str, data: dict[str, Any] | None) -> None:
    event: dict[str, Any] = {"type": kind, "id": container_id}
    if data is not None:
        event["data"] = data
    print(json.dumps(event), flush=True)


COMMANDS = {
    "pause": Command("suspends all processes inside the container", add_container_id, _pause),
    "resume": Command("resumes all processes that have been previously paused", add_container_id, _resume),
    "update": Command("update container resource constraints", _update_arguments, _update),
    "events": Command("display container events and usage statistics", _events_arguments, _events),
}

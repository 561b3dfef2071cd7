"""pause, resume, update, events."""

from __future__ import annotations

import json
import re
import sys
import time
from typing import Any

from wherry.errors import Conflict, InvalidParameter
from wherry.runtime import state
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.command import Command, GlobalOptions, Warn
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.options import Arguments, Option
from wherry.runtime.state import ContainerState, Status
from wherry.runtime.stats import read_stats
from wherry.runtime.stats_format import runc_stats

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}

# option → (section, key) of the OCI resources
_LIMITS = {
    "blkio-weight": ("blockIO", "weight"),
    "cpu-period": ("cpu", "period"),
    "cpu-quota": ("cpu", "quota"),
    "cpu-burst": ("cpu", "burst"),
    "cpu-share": ("cpu", "shares"),
    "cpu-rt-period": ("cpu", "realtimePeriod"),
    "cpu-rt-runtime": ("cpu", "realtimeRuntime"),
    "memory": ("memory", "limit"),
    "memory-reservation": ("memory", "reservation"),
    "memory-swap": ("memory", "swap"),
    "pids-limit": ("pids", "limit"),
}
_LISTS = {"cpuset_cpus": ("cpu", "cpus"), "cpuset_mems": ("cpu", "mems")}


def _held(kept: ContainerState) -> Cgroups:
    held = kept.open_cgroups()
    if held is None:
        raise RuntimeFailure(f"container {kept.container_id} has no cgroup")
    return held


def _pause(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    kept = state.load(options.root, arguments.text("container-id"))
    status = kept.status()
    if status == Status.STOPPED:
        raise Conflict("container not running")
    if status == Status.PAUSED:
        raise Conflict("container already paused")
    held = _held(kept)
    try:
        held.freeze()
    finally:
        held.close()
    return 0


def _resume(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    kept = state.load(options.root, arguments.text("container-id"))
    held = _held(kept)
    try:
        if not held.is_frozen():
            raise Conflict("container not paused")
        held.thaw()
    finally:
        held.close()
    return 0


_UPDATE_OPTIONS = (
    Option("resources", "file with the resources to update, '-' for standard input", short="r"),
    *(
        Option(name, f"{section}.{key} of the resources")
        for name, (section, key) in (*_LIMITS.items(), *_LISTS.items())
    ),
    Option("cpu-idle", "1 makes it run only when the CPU is idle"),
    Option("l3-cache-schema", "refused: Intel RDT"),
    Option("mem-bw-schema", "refused: Intel RDT"),
    Option("kernel-memory", "obsolete, ignored"),
    Option("kernel-memory-tcp", "obsolete, ignored"),
)


def _update(options: GlobalOptions, arguments: Arguments, warn: Warn) -> int:
    kept = state.load(options.root, arguments.text("container-id"))
    if kept.status() == Status.STOPPED:
        raise Conflict("container not running")
    if arguments.optional("l3-cache-schema") or arguments.optional("mem-bw-schema"):
        raise InvalidParameter("Intel RDT is not supported by this runtime")
    if arguments.optional("kernel-memory") or arguments.optional("kernel-memory-tcp"):
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
    if arguments.optional("cpu-idle") is not None:
        result.setdefault("cpu", {})["idle"] = arguments.number("cpu-idle")
    return result


def parse_size(text: str) -> int:
    """Bytes with an optional k, m, g or t suffix (1024-based); -1 is allowed. Raises InvalidParameter."""
    match = re.fullmatch(r"(-?\d+)([kmgt]?)b?", text.strip().lower())
    if match is None:
        raise InvalidParameter(f"invalid value {text!r}: not a number")
    return int(match[1]) << 10 * " kmgt".index(match[2] or " ")


def _events(options: GlobalOptions, arguments: Arguments, _warn: Warn) -> int:
    kept = state.load(options.root, arguments.text("container-id"))
    if kept.status() == Status.STOPPED:
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
            if kept.status() == Status.STOPPED:
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


_EVENTS_OPTIONS = (
    Option("interval", "interval of the statistics", default="5s"),
    Option("stats", "show the statistics once", flag=True),
)

COMMANDS = {
    "pause": Command(_pause),
    "resume": Command(_resume),
    "update": Command(_update, _UPDATE_OPTIONS),
    "events": Command(_events, _EVENTS_OPTIONS),
}

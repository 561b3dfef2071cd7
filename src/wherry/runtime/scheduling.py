"""``process.scheduler``, ``ioPriority``, ``execCPUAffinity`` and ``linux.personality`` (runtime-spec 1.2)."""

from __future__ import annotations

import os

from wherry.linux import process
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime.failure import RuntimeFailure, SpecInvalid

if TYPE_CHECKING:
    from typing import Any

_POLICIES = {
    "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5,
    "SCHED_DEADLINE": 6,
}  # fmt: skip
_FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}  # fmt: skip
_IO_CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
_PERSONALITIES = {"LINUX": 0, "LINUX32": 8}


class Scheduling(NamedTuple):
    """None: leave as inherited."""

    scheduler: dict[str, int] | None  # keyword arguments of sched_setattr
    io_priority: tuple[int, int] | None
    initial_cpus: frozenset[int] | None
    final_cpus: frozenset[int] | None
    personality: int | None


def prepare_scheduling(spec_process: dict[str, Any], spec: dict[str, Any]) -> Scheduling:
    """Read the scheduling part of an OCI process and its container. Raises SpecInvalid."""
    affinity = spec_process.get("execCPUAffinity") or {}
    return Scheduling(
        _scheduler(spec_process.get("scheduler")),
        _io_priority(spec_process.get("ioPriority")),
        parse_cpus(affinity["initial"]) if affinity.get("initial") else None,
        parse_cpus(affinity["final"]) if affinity.get("final") else None,
        _personality(spec),
    )


def _scheduler(scheduler: dict[str, Any] | None) -> dict[str, int] | None:
    if not scheduler:
        return None
    policy = _POLICIES.get(scheduler.get("policy", ""))
    if policy is None:
        raise SpecInvalid(f'invalid scheduler policy "{scheduler.get("policy")}"')
    flags = 0
    for name in scheduler.get("flags") or ():
        if name not in _FLAGS:
            raise SpecInvalid(f'invalid scheduler flag "{name}"')
        flags |= _FLAGS[name]
    return {
        "policy": policy,
        "flags": flags,
        "nice": scheduler.get("nice") or 0,
        "priority": scheduler.get("priority") or 0,
        "runtime_ns": scheduler.get("runtime") or 0,
        "deadline_ns": scheduler.get("deadline") or 0,
        "period_ns": scheduler.get("period") or 0,
    }


def _io_priority(entry: dict[str, Any] | None) -> tuple[int, int] | None:
    if not entry:
        return None
    if entry.get("class") not in _IO_CLASSES:
        raise SpecInvalid(f'invalid ioPriority class "{entry.get("class")}"')
    priority = entry.get("priority") or 0
    if not 0 <= priority <= 7:
        raise SpecInvalid(f"invalid ioPriority.priority {priority}: must be between 0 and 7")
    return _IO_CLASSES[entry["class"]], priority


def parse_cpus(text: str) -> frozenset[int]:
    """A list like ``0-3,7``. Raises SpecInvalid."""
    cpus: set[int] = set()
    try:
        for part in text.replace(" ", "").split(","):
            first, _, last = part.partition("-")
            cpus.update(range(int(first), int(last or first) + 1))
    except ValueError as exc:
        raise SpecInvalid(f'invalid cpu list "{text}"') from exc
    return frozenset(cpus)


def apply_scheduling(scheduling: Scheduling) -> None:
    """To the calling process, while it still has the capabilities for it."""
    try:
        if scheduling.scheduler is not None:
            process.sched_setattr(**scheduling.scheduler)
        if scheduling.io_priority is not None:
            process.ioprio_set(*scheduling.io_priority)
        if scheduling.final_cpus is not None:
            os.sched_setaffinity(0, scheduling.final_cpus)
        if scheduling.personality is not None:
            process.set_personality(scheduling.personality)
    except OSError as exc:
        raise RuntimeFailure(f"set scheduling attributes: {exc.strerror}") from exc


def _personality(spec: dict[str, Any]) -> int | None:
    """``linux.personality`` as the argument of personality(2)."""
    entry = (spec.get("linux") or {}).get("personality")
    if not entry:
        return None
    if entry.get("flags"):
        raise SpecInvalid("personality flags are not supported")
    if entry.get("domain") not in _PERSONALITIES:
        raise SpecInvalid(f'invalid personality domain "{entry.get("domain")}"')
    return _PERSONALITIES[entry["domain"]]

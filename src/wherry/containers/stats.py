"""Resource usage of a container, in Docker's shape. The previous sample is remembered: a single one has a CPU
percentage at once."""

import threading
import time
from collections.abc import Callable
from typing import Any

from wherry.containers.container import Container
from wherry.containers.services import Services
from wherry.containers.wire import ZERO_TIME, timestamp_ns
from wherry.errors import Conflict, WherryError
from wherry.runtime.stats_format import docker_stats

_INTERVAL_SECONDS = 1.0
_FRESH_SECONDS = 10.0


def sample(services: Services, reference: str, *, one_shot: bool = False) -> dict[str, Any]:
    """One sample. Unless ``one_shot`` or a fresh one is remembered, two are taken a second apart."""
    container = services.containers.get(reference)
    if not container.running:
        return _empty(container)
    previous = container.stats_sample
    fresh = previous is not None and time.monotonic() - previous[0] < _FRESH_SECONDS
    if not one_shot and not fresh:
        _read(container)
        time.sleep(_INTERVAL_SECONDS)
    return _read(container)


def stream(
    services: Services, reference: str, write: Callable[[dict[str, Any]], None], cancelled: Callable[[], bool]
) -> None:
    """A sample every second until the container is removed or the client goes; empty ones while it does not run."""
    container = services.containers.get(reference)
    pace = threading.Event()
    while not cancelled() and not container.removed:
        write(_read(container) if container.running else _empty(container))
        pace.wait(_INTERVAL_SECONDS)


def _read(container: Container) -> dict[str, Any]:
    connection = container.connection
    if connection is None:
        return _empty(container)
    try:
        reading = connection.stats()
    except (Conflict, WherryError):
        return _empty(container)  # it ended while it was asked
    now = time.time_ns()
    current = docker_stats(reading)
    before = container.stats_sample
    container.stats_sample = (time.monotonic(), {"read": timestamp_ns(now), "cpu": current["cpu_stats"]})
    result = _frame(container, timestamp_ns(now), before[1]["read"] if before else ZERO_TIME)
    result |= current
    result["precpu_stats"] = before[1]["cpu"] if before else _NO_CPU
    if reading.get("networks"):
        result["networks"] = reading["networks"]
    return result


_NO_CPU: dict[str, Any] = {
    "cpu_usage": {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0},
    "throttling_data": {"periods": 0, "throttled_periods": 0, "throttled_time": 0},
}


def _frame(container: Container, read: str, preread: str) -> dict[str, Any]:
    return {
        "name": f"/{container.name}",
        "id": container.id,
        "read": read,
        "preread": preread,
        "num_procs": 0,
        "storage_stats": {},
    }


def _empty(container: Container) -> dict[str, Any]:
    return _frame(container, ZERO_TIME, ZERO_TIME) | {
        "pids_stats": {},
        "blkio_stats": dict.fromkeys(
            f"{name}_recursive"
            for name in (
                "io_service_bytes",
                "io_serviced",
                "io_queue",
                "io_service_time",
                "io_wait_time",
                "io_merged",
                "io_time",
                "sectors",
            )
        ),
        "cpu_stats": _NO_CPU,
        "precpu_stats": _NO_CPU,
        "memory_stats": {},
    }

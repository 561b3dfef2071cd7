"""Docker's masked and read-only paths: what of /proc and /sys a container may not see or write."""

import os

_MASKED = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)

READ_ONLY_PATHS = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""OCI ``linux.readonlyPaths``."""

_CPUS = "/sys/devices/system/cpu"


def masked_paths(cpus: str = _CPUS) -> list[str]:
    """OCI ``linux.maskedPaths``: the fixed list, and each CPU's thermal_throttle that exists on this machine.

    The throttle counters tell a neighbour's load (moby GHSA-6fw5-f8r9-fgfm). ``cpus`` is the directory to look in.
    """
    numbers = sorted(int(name[3:]) for name in os.listdir(cpus) if name.startswith("cpu") and name[3:].isdigit())
    throttles = [f"cpu{number}/thermal_throttle" for number in numbers]
    return [*_MASKED, *(f"{_CPUS}/{path}" for path in throttles if os.path.exists(f"{cpus}/{path}"))]

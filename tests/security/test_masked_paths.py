"""The lists of SECURITY.md, and the part of them that depends on the machine."""

import pathlib

from wherry.security import masked_paths


def test_s63_the_list_is_the_documented_one_and_each_cpus_throttle_counters(tmp_path: pathlib.Path) -> None:
    for name in ("cpu0/thermal_throttle", "cpu10/thermal_throttle", "cpu2", "cpufreq/thermal_throttle"):
        (tmp_path / name).mkdir(parents=True)
    assert masked_paths.masked_paths(str(tmp_path)) == [
        "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
        "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
        "/sys/firmware", "/sys/devices/system/cpu/cpu0/thermal_throttle", "/sys/devices/system/cpu/cpu10/thermal_throttle",
    ]  # fmt: skip


def test_the_real_machine_has_at_least_the_fixed_list() -> None:
    assert "/proc/kcore" in masked_paths.masked_paths()


def test_s64_read_only_paths() -> None:
    assert masked_paths.READ_ONLY_PATHS == ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")

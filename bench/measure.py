"""Interleaved timing: every case once, then again, so that a slow minute of the machine hits all alike."""

import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Series:
    """The wall-clock times of one case, in milliseconds."""

    milliseconds: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.milliseconds)

    @property
    def p95(self) -> float:
        """The time that 19 in 20 stay under."""
        ordered = sorted(self.milliseconds)
        return ordered[min(len(ordered) - 1, round(0.95 * (len(ordered) - 1)))]


@dataclass(frozen=True, slots=True)
class Verdict:
    """One target: ``value`` (a ratio, or a quantity with its unit) against ``bound``; lower is better."""

    text: str
    value: float
    bound: float
    unit: str = "x"

    @property
    def met(self) -> bool:
        """Whether the target holds in this run."""
        return self.value <= self.bound


@dataclass(slots=True)
class Row:
    """One line of PERFORMANCE.md: its series and what follows from them."""

    name: str
    title: str
    series: dict[str, Series] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def ratio(self, ours: str, other: str, bound: float) -> None:
        """A target of the form ours <= bound x other, by medians."""
        if other in self.series:
            value = self.series[ours].median / self.series[other].median
            self.verdicts.append(Verdict(f"{ours} / {other}", value, bound))


def command_seconds(argv: list[str], environment: Mapping[str, str]) -> float:
    """Wall-clock seconds of one command, output discarded; RuntimeError when it fails."""
    quiet = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
    ]
    begin = time.perf_counter()
    pid = os.posix_spawn(argv[0], argv, environment, file_actions=quiet)
    _, status = os.waitpid(pid, 0)
    elapsed = time.perf_counter() - begin
    if status:
        raise RuntimeError(f"{' '.join(argv)}: exit status {os.waitstatus_to_exitcode(status)}")
    return elapsed


def interleave(cases: Mapping[str, Callable[[], float]], *, repetitions: int, warm_up: int = 2) -> dict[str, Series]:
    """Run every case ``warm_up`` times unmeasured, then all of them in turn ``repetitions`` times.

    A case returns its own seconds, so that what it prepares is not counted.
    """
    for _ in range(warm_up):
        for case in cases.values():
            case()
    times: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(repetitions):
        for name, case in cases.items():
            times[name].append(case() * 1000)
    return {name: Series(tuple(values)) for name, values in times.items()}

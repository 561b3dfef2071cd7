"""What a container's cgroups can do, whichever version the kernel mounts: the contract, and the shared half."""

from __future__ import annotations

import os
import time
from abc import ABC, abstractmethod

from wherry.linux import signals
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime.cgroup_directory import CgroupDirectory, CgroupFailure
from wherry.runtime.cgroup_layout import Layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, TypeAlias

Resources: TypeAlias = "Mapping[str, Any]"
"""OCI ``linux.resources`` as a plain dict."""

_KILL_TIMEOUT_SECONDS = 10.0
_FREEZE_TIMEOUT_SECONDS = 10.0
# Before a kill freezing only helps; a process that waits for a disk must not hold the others' end up.
_FREEZE_TO_KILL_TIMEOUT_SECONDS = 0.5
_REMOVE_TIMEOUT_SECONDS = 2.0


class OomWatch(NamedTuple):
    """A descriptor that becomes ready (poll ``events``) when an OOM may have happened; then ask ``oom_kills()``.

    The owner closes ``fd``. With ``eventfd`` the eight bytes are to be read, so that it becomes quiet again.
    """

    fd: int
    events: int
    eventfd: bool


class Cgroups(ABC):
    """The cgroups of one container. Made by ``cgroups.create``, ``attach`` or ``load``; closed by the owner.

    Descriptors are CLOEXEC. Methods raise CgroupFailure (System) unless they say otherwise; all but ``apply`` and
    ``update`` may be called after the cgroups are gone, and then find nothing.
    """

    layout: Layout
    path: str
    """In the hierarchies, beginning with a slash."""

    @property
    @abstractmethod
    def version(self) -> int:
        """1 or 2."""

    @property
    @abstractmethod
    def join_fd(self) -> int | None:
        """For clone3's CLONE_INTO_CGROUP (v2); None on v1, where the child calls :meth:`add_self`."""

    @abstractmethod
    def directory(self, controller: str) -> CgroupDirectory:
        """Where a controller's files of this container are. Raises CgroupFailure when it is not mounted."""

    @abstractmethod
    def has(self, controller: str) -> bool:
        """Whether ``directory`` would find it."""

    @abstractmethod
    def apply(self, resources: Resources | None, *, devices: bool = True) -> None:
        """Set every limit, and (``devices``) what devices may be used. For cgroups that are new."""

    @abstractmethod
    def update(self, resources: Resources) -> None:
        """Change the limits that are named, in an order that never passes through an invalid state. No devices."""

    @abstractmethod
    def add_self(self, init_pid: int | None = None) -> None:
        """Move the calling process in. On v1 it must have one thread: that is what moves, and quickly.

        ``init_pid``: on v2 a container may have moved its processes to a cgroup below, and then the one above takes
        no more; go where its init is.
        """

    @abstractmethod
    def paths(self) -> dict[str, str]:
        """Controller to absolute directory, as ``state.json`` has it (on v2 one entry, with the empty name)."""

    @abstractmethod
    def set_frozen(self, *, frozen: bool) -> None:
        """Ask the kernel; :meth:`freeze` waits."""

    @abstractmethod
    def is_frozen(self) -> bool:
        """Whether every process stands still now."""

    @abstractmethod
    def oom_kills(self) -> int:
        """How many processes the OOM killer took here so far; 0 when nobody counts."""

    @abstractmethod
    def watch_oom(self) -> OomWatch | None:
        """None when there is no memory controller."""

    @abstractmethod
    def _process_directory(self) -> CgroupDirectory | None:
        """Where to look for processes; None when the cgroup is gone."""

    @abstractmethod
    def _kill_at_once(self) -> bool:
        """Kill by the kernel's own means; False when it has none."""

    @abstractmethod
    def delete(self, *, timeout_seconds: float = _REMOVE_TIMEOUT_SECONDS) -> None:
        """Remove the cgroups and those that the container made in them. Idempotent."""

    @abstractmethod
    def close(self) -> None:
        """Close all descriptors. Idempotent; the object opens them again if it is used."""

    def oom_killed(self) -> bool:
        """Whether the OOM killer has taken a process here."""
        return self.oom_kills() > 0

    def pids(self, *, everything: bool = True) -> list[int]:
        """The processes of the container, by default those in cgroups that it made itself too."""
        directory = self._process_directory()
        return directory.pids(everything=everything) if directory else []

    def freeze(self, *, timeout_seconds: float = _FREEZE_TIMEOUT_SECONDS) -> None:
        """Stop every process, and return when they stand still. When that cannot be reached it is undone."""
        deadline = time.monotonic() + timeout_seconds
        delay = 0.0001
        self.set_frozen(frozen=True)
        while not self.is_frozen():
            if time.monotonic() > deadline:
                self.set_frozen(frozen=False)
                raise CgroupFailure(f"freeze cgroup {self.path}: not frozen after {timeout_seconds:g} s")
            time.sleep(delay)
            delay = min(delay * 2, 0.01)
            # v1 may need to be told again: a fork during the freeze stays outside (runc and crun do the same).
            self.set_frozen(frozen=True)

    def thaw(self) -> None:
        """Let the processes go on."""
        self.set_frozen(frozen=False)

    def kill_all(self, signal_number: int = signals.SIGKILL) -> None:
        """Send a signal to every process. SIGKILL leaves none alive, however fast they fork, or raises."""
        if signal_number != signals.SIGKILL:
            self._signal_each(signal_number)
            return
        if self._kill_at_once():
            return
        deadline = time.monotonic() + _KILL_TIMEOUT_SECONDS
        while self.pids():
            if time.monotonic() > deadline:
                raise CgroupFailure(f"kill the processes of cgroup {self.path}: {len(self.pids())} left")
            frozen = self._try_freeze()
            self._signal_each(signals.SIGKILL)
            if frozen:
                self.thaw()
            time.sleep(0.001)

    def _try_freeze(self) -> bool:
        """Freezing makes the list of processes hold still; killing works without it, only not in one round."""
        try:
            self.freeze(timeout_seconds=_FREEZE_TO_KILL_TIMEOUT_SECONDS)
        except (CgroupFailure, OSError):
            return False
        return True

    def _signal_each(self, signal_number: int) -> None:
        """By pidfd, and only if the process is still in the cgroup once the pidfd is held: never a recycled pid."""
        pidfds: dict[int, int] = {}
        try:
            for pid in self.pids():
                try:
                    pidfds[pid] = os.pidfd_open(pid)
                except ProcessLookupError:
                    pass  # it ended by itself
            for pid in self.pids():
                if pid in pidfds:
                    try:
                        signals.pidfd_send_signal(pidfds[pid], signal_number)
                    except ProcessLookupError:
                        pass  # likewise
        finally:
            for fd in pidfds.values():
                os.close(fd)

    def save(self) -> dict[str, Any]:
        """What ``cgroups.load`` needs, as plain JSON."""
        return {
            "version": self.version,
            "path": self.path,
            "hierarchies": [[h.mount_point, list(h.controllers)] for h in self.layout.hierarchies],
            "unified": self.layout.unified,
        }

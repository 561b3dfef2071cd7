"""What is done to a container through its cgroups: the same whichever runtime made it."""

from __future__ import annotations

from abc import ABC, abstractmethod

from wherry.monitor.container_runtime import NotRunning
from wherry.monitor.container_spec import ContainerSpec
from wherry.record import TYPE_CHECKING
from wherry.runtime.cgroups import Cgroups
from wherry.runtime.stats import read_stats

if TYPE_CHECKING:
    from typing import Any


class ByCgroup(ABC):
    """Part of a ContainerRuntime (the contract is there)."""

    _spec: ContainerSpec

    @abstractmethod
    def _attached(self) -> Cgroups | None:
        """The cgroups between create and delete; None outside."""

    def _live(self) -> Cgroups:
        cgroups = self._attached()
        if cgroups is None:
            raise NotRunning("container is not running")
        return cgroups

    def signal_all(self, number: int) -> None:
        """See :class:`ContainerRuntime`."""
        self._live().kill_all(number)

    def pids(self) -> list[int]:
        """See :class:`ContainerRuntime`."""
        cgroups = self._attached()
        return cgroups.pids() if cgroups is not None else []

    def pause(self) -> None:
        """See :class:`ContainerRuntime`."""
        self._live().freeze()

    def resume(self) -> None:
        """See :class:`ContainerRuntime`."""
        self._live().thaw()

    def update(self, resources: dict[str, Any]) -> None:
        """See :class:`ContainerRuntime`."""
        cgroups = self._attached()
        if cgroups is not None:
            cgroups.update(resources)
        self._spec.update(resources)

    def stats(self) -> dict[str, Any]:
        """See :class:`ContainerRuntime`."""
        return read_stats(self._live())

    def oom_killed(self) -> bool:
        """See :class:`ContainerRuntime`."""
        cgroups = self._attached()
        return cgroups is not None and cgroups.oom_killed()

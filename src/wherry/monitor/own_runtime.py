"""wherry's runtime, called in the monitor's process (no exec of a runtime binary: a start takes milliseconds)."""

import os
from typing import Any

from wherry.monitor.container_runtime import NotRunning, Running
from wherry.monitor.diagnostics import report
from wherry.monitor.stdio import Streams
from wherry.runtime import cgroups as cgroups_module
from wherry.runtime.cgroups import CgroupFailure, Cgroups
from wherry.runtime.create import Created, create_container
from wherry.runtime.exec import exec_process
from wherry.runtime.start import start_container
from wherry.runtime.stats import read_stats


class OwnRuntime:
    """``request`` is the start request."""

    def __init__(self, request: dict[str, Any]) -> None:
        self._id: str = request["id"]
        self._spec: dict[str, Any] = request["spec"]
        self._bundle: str = request["bundle"]
        self._rootfs = request.get("rootfs")
        self._init = bool(request.get("init"))
        self._cgroups: Cgroups | None = None
        self._created: Created | None = None
        # The monitor's own value is lower than any container's (R36) and would be inherited.
        self._spec["process"].setdefault("oomScoreAdj", 0)

    def create(self, streams: Streams, *, network_fd: int | None) -> Running:
        """See :class:`ContainerRuntime`."""
        linux = self._spec.get("linux") or {}
        self._cgroups = cgroups_module.create(
            linux.get("cgroupsPath"), container_id=self._id, resources=linux.get("resources")
        )
        try:
            created = create_container(
                self._spec,
                bundle=self._bundle,
                container_id=self._id,
                stdio=streams.child,
                rootfs=self._rootfs,
                network_namespace_fd=network_fd,
                cgroups=self._cgroups,
                reaper=self._init,
                die_with_parent=True,
            )
        except BaseException:
            self.delete()
            raise
        for warning in created.warnings:
            report(warning)
        self._created = created
        console, created.console_fd = created.console_fd, None
        return Running(created.pid, os.dup(created.pidfd), console)

    def start(self) -> None:
        """See :class:`ContainerRuntime`."""
        assert self._created is not None
        start_container(self._created)

    def exec(self, process: dict[str, Any], streams: Streams) -> Running:
        """See :class:`ContainerRuntime`."""
        if self._created is None:
            raise NotRunning("container is not running")
        process.setdefault("oomScoreAdj", self._spec["process"]["oomScoreAdj"])
        executed = exec_process(
            process,
            spec=self._spec,
            pid=self._created.pid,
            pidfd=self._created.pidfd,
            cgroups=self._cgroups,
            stdio=streams.child,
            container_id=self._id,
        )
        for warning in executed.warnings:
            report(warning)
        return Running(executed.pid, executed.pidfd, executed.console_fd)

    def signal_all(self, number: int) -> None:
        """See :class:`ContainerRuntime`."""
        self._live().kill_all(number)

    def pids(self) -> list[int]:
        """See :class:`ContainerRuntime`."""
        return self._cgroups.pids() if self._cgroups else []

    def pause(self) -> None:
        """See :class:`ContainerRuntime`."""
        self._live().freeze()

    def resume(self) -> None:
        """See :class:`ContainerRuntime`."""
        self._live().thaw()

    def update(self, resources: dict[str, Any]) -> None:
        """See :class:`ContainerRuntime`."""
        self._live().update(resources)

    def stats(self) -> dict[str, Any]:
        """See :class:`ContainerRuntime`."""
        return read_stats(self._live())

    def oom_killed(self) -> bool:
        """See :class:`ContainerRuntime`."""
        return self._cgroups is not None and self._cgroups.oom_killed()

    def delete(self) -> None:
        """See :class:`ContainerRuntime`."""
        created, self._created = self._created, None
        if created is not None:
            created.close()
        cgroups, self._cgroups = self._cgroups, None
        if cgroups is not None:
            try:
                cgroups.delete()
            except (CgroupFailure, OSError) as exc:
                # A process in uninterruptible sleep: the engine's sweep removes it later; the exit must go on (R35).
                report(f"container {self._id[:12]}: {exc}")
            cgroups.close()

    def _live(self) -> Cgroups:
        if self._cgroups is None:
            raise NotRunning("container is not running")
        return self._cgroups

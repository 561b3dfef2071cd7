"""cgroup v1: one directory per mounted hierarchy. The limits themselves are ``resources_v1.py``."""

from __future__ import annotations

import os
import select

from wherry.runtime.cgroup_base import Cgroups, OomWatch, Resources
from wherry.runtime.cgroup_directory import CgroupDirectory, CgroupFailure, make_directory
from wherry.runtime.cgroup_layout import Layout

# Where to look for the processes: each is in all hierarchies, so any would do; these are always there, and small.
_PROCESS_CONTROLLERS = ("freezer", "devices", "pids", "memory")


class CgroupsV1(Cgroups):
    """See ``Cgroups``. Hybrid too: the unified hierarchy holds no controllers then and is left alone."""

    def __init__(self, layout: Layout, path: str) -> None:
        self.layout = layout
        self.path = path
        self._mount_points = {
            controller: hierarchy.mount_point
            for hierarchy in layout.hierarchies
            for controller in hierarchy.controllers
        }
        self._open: dict[str, CgroupDirectory] = {}

    @property
    def version(self) -> int:
        """Always 1."""
        return 1

    @property
    def join_fd(self) -> int | None:
        """None: v1 cannot be joined by clone3."""
        return None

    def make(self) -> None:
        """Make the directories. Raises CgroupFailure when there is a process in them; undoes itself then."""
        made = []
        try:
            for hierarchy in self.layout.hierarchies:
                location = hierarchy.mount_point + self.path
                if _make(hierarchy.controllers, location, hierarchy.mount_point):
                    made.append(location)
            if len(made) < len(self.layout.hierarchies) and (pids := self.pids()):
                raise CgroupFailure(f"container's cgroup is not empty: {len(pids)} process(es) found in {self.path}")
        except BaseException:
            for location in made:
                os.rmdir(location)
            raise

    def directory(self, controller: str) -> CgroupDirectory:
        """See ``Cgroups``."""
        mount_point = self._mount_points.get(controller)
        if mount_point is None:
            raise CgroupFailure(f"cgroup controller {controller} is not available on this machine")
        held = self._open.get(mount_point)
        if held is None:
            try:
                held = self._open[mount_point] = CgroupDirectory(mount_point + self.path)
            except FileNotFoundError as exc:
                raise CgroupFailure(f"cgroup {mount_point}{self.path} does not exist") from exc
        return held

    def has(self, controller: str) -> bool:
        """See ``Cgroups``."""
        mount_point = self._mount_points.get(controller)
        return mount_point is not None and os.path.isdir(mount_point + self.path)

    def apply(self, resources: Resources | None, *, devices: bool = True) -> None:
        """See ``Cgroups``."""
        from wherry.runtime import resources_v1  # start-up cost: most commands set no limits

        resources_v1.apply(self.directory, resources or {})
        if devices and "devices" in self._mount_points:
            resources_v1.apply_devices(self.directory("devices"), (resources or {}).get("devices") or ())

    def update(self, resources: Resources) -> None:
        """See ``Cgroups``."""
        from wherry.runtime import resources_v1

        resources_v1.apply(self.directory, resources)

    def add_self(self, init_pid: int | None = None) -> None:
        """See ``Cgroups``. ``tasks`` and not ``cgroup.procs``: the latter waits for an RCU grace period, 7-19 ms."""
        for hierarchy in self.layout.hierarchies:
            location = hierarchy.mount_point + self.path
            try:
                fd = os.open(location + "/tasks", os.O_WRONLY | os.O_CLOEXEC)
                try:
                    os.write(fd, b"0")
                finally:
                    os.close(fd)
            except OSError as exc:
                raise CgroupFailure(f"join cgroup {location}: {exc.strerror}") from exc

    def paths(self) -> dict[str, str]:
        """See ``Cgroups``."""
        return {controller: mount_point + self.path for controller, mount_point in self._mount_points.items()}

    def set_frozen(self, *, frozen: bool) -> None:
        """See ``Cgroups``."""
        self.directory("freezer").write("freezer.state", "FROZEN" if frozen else "THAWED")

    def is_frozen(self) -> bool:
        """See ``Cgroups``."""
        return self.has("freezer") and self.directory("freezer").read("freezer.state").strip() == "FROZEN"

    def oom_kills(self) -> int:
        """See ``Cgroups``."""
        return self.directory("memory").counter("memory.oom_control", "oom_kill") if self.has("memory") else 0

    def watch_oom(self) -> OomWatch | None:
        """See ``Cgroups`` (an eventfd registered in cgroup.event_control)."""
        if not self.has("memory"):
            return None
        memory = self.directory("memory")
        event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        try:
            control = memory.open("memory.oom_control")
            try:
                memory.write("cgroup.event_control", f"{event} {control}")
            finally:
                os.close(control)
        except BaseException:
            os.close(event)
            raise
        return OomWatch(event, select.POLLIN, eventfd=True)

    def delete(self, *, timeout_seconds: float = 2.0) -> None:
        """See ``Cgroups``."""
        for hierarchy in self.layout.hierarchies:
            held = self._open.pop(hierarchy.mount_point, None)
            try:
                held = held or CgroupDirectory(hierarchy.mount_point + self.path)
            except FileNotFoundError:
                continue
            try:
                held.remove(timeout_seconds=timeout_seconds)
            finally:
                held.close()

    def close(self) -> None:
        """See ``Cgroups``."""
        while self._open:
            self._open.popitem()[1].close()

    def _process_directory(self) -> CgroupDirectory | None:
        for controller in (*_PROCESS_CONTROLLERS, *self._mount_points):
            if self.has(controller):
                try:
                    return self.directory(controller)
                except CgroupFailure:
                    return None  # removed since
        return None

    def _kill_at_once(self) -> bool:
        return False


def _make(controllers: tuple[str, ...], location: str, mount_point: str) -> bool:
    """Make a cgroup and those above it; whether it is new."""
    return (_make_cpuset if "cpuset" in controllers else make_directory)(location, mount_point)


def _make_cpuset(location: str, mount_point: str) -> bool:
    """The same for a cpuset, which takes no process (ENOSPC) before it has CPUs and memory nodes: its parent's.

    Several monitors may make the same parent at once. So whoever comes fills in what is empty, in a directory of its
    own or not, and ``cgroup.clone_children`` (the kernel fills in new children from here on) is written last: a
    cpuset that has it is complete.
    """
    parent = os.path.dirname(location)
    complete = _clones(parent)
    if not complete and len(parent) > len(mount_point):
        _make_cpuset(parent, mount_point)
        complete = _clones(parent)
    new = make_directory(location, mount_point)
    if not complete:
        for name in ("cpuset.cpus", "cpuset.mems"):
            if not _read(f"{location}/{name}"):
                value = _read(f"{parent}/{name}") or _read(f"{parent}/{name.replace('.', '.effective_')}")
                _write(f"{location}/{name}", value)
        if new:
            _write(f"{location}/cgroup.clone_children", "1")
    return new


def _clones(location: str) -> bool:
    try:
        return _read(f"{location}/cgroup.clone_children") == "1"
    except FileNotFoundError:
        return False


def _read(location: str) -> str:
    with open(location, encoding="ascii") as file:
        return file.read().strip()


def _write(location: str, value: str) -> None:
    with open(location, "w", encoding="ascii") as file:
        file.write(value)

"""cgroup v2: one directory. The limits themselves are ``resources_v2.py``, devices are ``device_program.py``."""

from __future__ import annotations

import errno
import os
import select

from wherry.runtime.cgroup_base import Cgroups, OomWatch, Resources
from wherry.runtime.cgroup_directory import CgroupDirectory, CgroupFailure, make_directory
from wherry.runtime.cgroup_layout import Layout


class CgroupsV2(Cgroups):
    """See ``Cgroups``."""

    def __init__(self, layout: Layout, path: str) -> None:
        assert layout.unified is not None
        self.layout = layout
        self.path = path
        self._mount_point = layout.unified
        self._location = layout.unified + path
        self._held: CgroupDirectory | None = None

    @property
    def version(self) -> int:
        """Always 2."""
        return 2

    @property
    def join_fd(self) -> int | None:
        """See ``Cgroups``."""
        return self.directory("").fd

    def make(self) -> None:
        """Make the cgroup, its controllers enabled in all above. Raises CgroupFailure when a process is in it."""
        existed = os.path.isdir(self._location)
        if existed and (pids := self.pids()):
            raise CgroupFailure(f"container's cgroup is not empty: {len(pids)} process(es) found in {self.path}")
        parts = self.path.split("/")[1:]
        location = self._mount_point
        for part in parts:
            _enable_controllers(location)
            location = f"{location}/{part}"
            make_directory(location, self._mount_point)

    def directory(self, controller: str) -> CgroupDirectory:
        """See ``Cgroups``. The controller makes no difference here."""
        if self._held is None:
            try:
                self._held = CgroupDirectory(self._location)
            except FileNotFoundError as exc:
                raise CgroupFailure(f"cgroup {self._location} does not exist") from exc
        return self._held

    def has(self, controller: str) -> bool:
        """See ``Cgroups``."""
        try:
            return not controller or controller in self.directory("").read("cgroup.controllers").split()
        except (CgroupFailure, OSError):
            return False  # gone

    def apply(self, resources: Resources | None, *, devices: bool = True) -> None:
        """See ``Cgroups``."""
        from wherry.runtime import resources_v2  # start-up cost: most commands set no limits

        resources_v2.apply(self.directory(""), resources or {})
        if devices:
            from wherry.runtime import device_program
            from wherry.security import devices as device_policy

            policy = device_policy.container_policy((resources or {}).get("devices") or ())
            try:
                device_program.attach(self.directory("").fd, policy)
            except OSError as exc:
                raise self.directory("").failure("attach the device program", exc) from exc

    def update(self, resources: Resources) -> None:
        """See ``Cgroups``."""
        from wherry.runtime import resources_v2

        resources_v2.apply(self.directory(""), resources)

    def add_self(self, init_pid: int | None = None) -> None:
        """See ``Cgroups``. CLONE_INTO_CGROUP with ``join_fd`` is a hundred times quicker."""
        try:
            self.directory("").write_raw("cgroup.procs", "0")
        except OSError as exc:
            # The container made cgroups below and enabled controllers: "no internal processes".
            if init_pid is None or exc.errno not in (errno.EBUSY, errno.EOPNOTSUPP):
                raise self.directory("").failure("join", exc) from exc
            try:
                with open(
                    f"{self._mount_point}{_unified_path(init_pid)}/cgroup.procs", "w", encoding="ascii"
                ) as file:
                    file.write("0")
            except OSError as second:
                raise self.directory("").failure("join the cgroup of the init", second) from second

    def paths(self) -> dict[str, str]:
        """See ``Cgroups``."""
        return {"": self._location}

    def set_frozen(self, *, frozen: bool) -> None:
        """See ``Cgroups``."""
        self.directory("").write("cgroup.freeze", int(frozen))

    def is_frozen(self) -> bool:
        """See ``Cgroups``."""
        try:
            return "frozen 1" in self.directory("").read("cgroup.events").splitlines()
        except (CgroupFailure, OSError):
            return False  # gone

    def oom_kills(self) -> int:
        """See ``Cgroups``."""
        return self.directory("").counter("memory.events", "oom_kill") if self.has("memory") else 0

    def watch_oom(self) -> OomWatch | None:
        """See ``Cgroups`` (memory.events wakes a poll for POLLPRI; each read makes it quiet again)."""
        if not self.has("memory"):
            return None
        return OomWatch(self.directory("").open("memory.events"), select.POLLPRI, eventfd=False)

    def delete(self, *, timeout_seconds: float = 2.0) -> None:
        """See ``Cgroups``."""
        if os.path.isdir(self._location):
            self.directory("").remove(timeout_seconds=timeout_seconds)
        self.close()

    def close(self) -> None:
        """See ``Cgroups``."""
        if self._held is not None:
            self._held.close()
            self._held = None

    def _process_directory(self) -> CgroupDirectory | None:
        try:
            return self.directory("") if os.path.isdir(self._location) else None
        except CgroupFailure:
            return None  # removed since

    def _kill_at_once(self) -> bool:
        """cgroup.kill (Linux 5.14): everything below, forks in progress included."""
        directory = self._process_directory()
        if directory is None:
            return True
        try:
            directory.write_raw("cgroup.kill", "1")
        except FileNotFoundError:
            return False
        return True


def _enable_controllers(location: str) -> None:
    """Hand every controller that this cgroup has down to its children."""
    wanted = set(_words(f"{location}/cgroup.controllers")) - set(_words(f"{location}/cgroup.subtree_control"))
    for controller in sorted(wanted):
        try:
            with open(f"{location}/cgroup.subtree_control", "w", encoding="ascii") as file:
                file.write(f"+{controller}")
        except OSError as exc:
            # EBUSY: processes live here (only the root may have both), or real-time ones keep cpu back. Limits that
            # need the controller are refused later, by its missing files; the others work.
            if exc.errno not in (errno.EBUSY, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOENT):
                raise CgroupFailure(f"enable {controller} in {location}: {exc.strerror}") from exc


def _words(location: str) -> list[str]:
    with open(location, encoding="ascii") as file:
        return file.read().split()


def _unified_path(pid: int) -> str:
    with open(f"/proc/{pid}/cgroup", encoding="utf-8") as file:
        for line in file:
            if line.startswith("0::"):
                return line[3:].rstrip("\n")
    raise FileNotFoundError(errno.ENOENT, "no unified cgroup", f"/proc/{pid}/cgroup")

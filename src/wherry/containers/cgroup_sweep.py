"""End the processes of a container whose monitor is gone, by its cgroup: the kernel knows them all, pids may lie."""

from wherry.containers.container import Record
from wherry.containers.spec import cgroup_path
from wherry.log import get_logger
from wherry.runtime import cgroup_layout, cgroups
from wherry.runtime.cgroups import CgroupFailure
from wherry.settings import Settings

_logger = get_logger(__name__)


def kill_cgroup(settings: Settings, record: Record) -> None:
    """Kill every process below the container's cgroup, and remove it. Nothing there is no error."""
    remove_cgroup(cgroup_path(settings, record), record.id)


def remove_cgroup(path: str, container_id: str) -> None:
    """Kill what is in a cgroup and remove it; a task that the kernel cannot kill is logged and left."""
    try:
        found = cgroups.attach(cgroup_layout.container_path(path, container_id))
        found.kill_all()
        found.delete()
        found.close()
    except (CgroupFailure, OSError) as exc:
        _logger.warning("remove cgroup %s: %s", path, exc)

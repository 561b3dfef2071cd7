"""A container's cgroups: the way in. v1 (hybrid too) is ``cgroups_v1.py``, v2 is ``cgroups_v2.py``.

On disk: ``<mount point>/<path>`` in every hierarchy, ``path`` from ``cgroup_layout.container_path``. Nothing is kept
elsewhere; ``Cgroups.save`` goes into the runtime's state.json.
"""

from __future__ import annotations

from wherry.record import TYPE_CHECKING
from wherry.runtime import cgroup_layout
from wherry.runtime.cgroup_base import Cgroups, OomWatch, Resources
from wherry.runtime.cgroup_directory import CgroupFailure
from wherry.runtime.cgroup_layout import Hierarchy, Layout

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from wherry.runtime.cgroups_v1 import CgroupsV1
    from wherry.runtime.cgroups_v2 import CgroupsV2

__all__ = ["CgroupFailure", "Cgroups", "OomWatch", "Resources", "attach", "create", "load", "system_layout"]

_system: list[Layout] = []


def system_layout() -> Layout:
    """The machine's layout, read once per process."""
    if not _system:
        _system.append(cgroup_layout.detect())
        _implementation(_system[0])  # for the children of a process that forks
    return _system[0]


def attach(path: str, *, layout: Layout | None = None) -> Cgroups:
    """The cgroups at a path (of ``cgroup_layout.container_path``), whether they exist or not. Makes nothing."""
    layout = layout or system_layout()
    return _implementation(layout)(layout, path)


def _implementation(layout: Layout) -> type[CgroupsV1] | type[CgroupsV2]:
    """Only what the machine has is imported: the other version would be a tenth of a command's time."""
    if layout.version == 2:
        from wherry.runtime.cgroups_v2 import CgroupsV2

        return CgroupsV2
    from wherry.runtime.cgroups_v1 import CgroupsV1

    return CgroupsV1


def create(
    cgroups_path: str | None,
    *,
    container_id: str,
    resources: Resources | None = None,
    devices: bool = True,
    layout: Layout | None = None,
) -> Cgroups:
    """Make a container's cgroups and set its limits. Nothing is left behind when it raises.

    ``cgroups_path`` and ``resources`` are ``linux.cgroupsPath`` and ``linux.resources`` of the specification.
    ``devices=False`` leaves the device rules to a later ``apply``. Raises SpecInvalid for a bad path or resource,
    CgroupFailure for a cgroup that is in use, and for what the kernel refuses.
    """
    path = cgroup_layout.container_path(cgroups_path, container_id)
    layout = layout or system_layout()
    made = _implementation(layout)(layout, path)
    try:
        made.make()
    except BaseException:
        made.close()
        raise
    try:
        made.apply(resources, devices=devices)
    except BaseException:
        made.delete()
        made.close()
        raise
    return made


def load(saved: Mapping[str, Any]) -> Cgroups:
    """The cgroups that ``Cgroups.save`` described."""
    layout = Layout(
        saved["version"],
        tuple(Hierarchy(mount_point, tuple(controllers)) for mount_point, controllers in saved["hierarchies"]),
        saved["unified"],
    )
    return attach(saved["path"], layout=layout)

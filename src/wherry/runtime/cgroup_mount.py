"""The ``cgroup`` mount of config.json: the container's own cgroups as binds of the host's hierarchies (S45, S46).

Binds, not mounts of the cgroup file system: nothing in them can be remounted with a release agent, and the options
(read-only) are the bind's own.
"""

from __future__ import annotations

import os

from wherry.linux import mount, mount_api
from wherry.linux.mount_api import AT_FDCWD, FileSystemContext
from wherry.record import TYPE_CHECKING
from wherry.runtime.cgroup_layout import Layout
from wherry.runtime.mount_options import MountOptions

if TYPE_CHECKING:
    from collections.abc import Mapping

_SAFE = mount_api.MOUNT_ATTR_NOSUID | mount_api.MOUNT_ATTR_NODEV | mount_api.MOUNT_ATTR_NOEXEC


def mount_cgroups(
    target_fd: int, layout: Layout, own: Mapping[str, str], options: MountOptions, *, private: bool
) -> None:
    """In the init: show the container its cgroups at ``target_fd``.

    ``own`` is ``Cgroups.paths()``. ``private``: the container has a cgroup namespace; without one v2 shows the whole
    hierarchy, as with runc. v1: a tmpfs with a directory per hierarchy and a link per co-mounted controller.
    """
    attributes = options.set_attributes | _SAFE
    if layout.version == 2:
        path = own.get("", layout.unified or "") if private else layout.unified or ""
        _attach(_bind(path, attributes), target_fd)
        return
    tree = _tmpfs()
    try:
        mount_api.move_mount(tree, target_fd)
        for hierarchy in layout.hierarchies:
            path = next((own[name] for name in hierarchy.controllers if name in own), "")
            if path:
                name = os.path.basename(hierarchy.mount_point)
                _attach_below(_bind(path, attributes), tree, name)
                for controller in hierarchy.controllers:
                    if controller != name and "=" not in controller:
                        os.symlink(name, controller, dir_fd=tree)
        if layout.unified and own.get(""):
            _attach_below(_bind(own[""], attributes), tree, "unified")
        mount_api.mount_setattr(tree, set_attributes=attributes)
    finally:
        os.close(tree)


def _attach_below(tree: int, parent_fd: int, name: str) -> None:
    os.mkdir(name, 0o755, dir_fd=parent_fd)
    place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent_fd)
    try:
        _attach(tree, place)
    finally:
        os.close(place)


def _attach(tree: int, target_fd: int) -> None:
    try:
        mount_api.move_mount(tree, target_fd)
    finally:
        os.close(tree)


def _bind(path: str, attributes: int) -> int:
    tree = mount_api.open_tree(AT_FDCWD, path, mount_api.OPEN_TREE_CLONE)
    mount_api.mount_setattr(tree, set_attributes=attributes, propagation=mount.MS_PRIVATE)
    return tree


def _tmpfs() -> int:
    with FileSystemContext("tmpfs") as context:
        context.set_string("source", "tmpfs")
        context.set_string("mode", "755")
        context.create()
        return context.mount(_SAFE)

"""The ``cgroup`` mount of config.json: the container's own cgroups as binds of the host's hierarchies (S45, S46).

Binds, not mounts of the cgroup file system: nothing in them can be remounted with a release agent, and the options
(read-only) are the bind's own.
"""

import os

from wherry.linux import mount_api
from wherry.linux.mount_api import AT_FDCWD, FileSystemContext
from wherry.runtime.cgroup_layout import Layout
from wherry.runtime.mount_options import MountOptions

_SAFE = mount_api.MOUNT_ATTR_NOSUID | mount_api.MOUNT_ATTR_NODEV | mount_api.MOUNT_ATTR_NOEXEC


def make_cgroup_tree(layout: Layout, options: MountOptions, *, private: bool) -> int:
    """A detached tree that shows what a cgroup mount shows on this machine. Call in the init, in its cgroups.

    ``private``: the container has a cgroup namespace; without one v2 shows the whole hierarchy, as with runc.
    """
    attributes = options.set_attributes | _SAFE
    own = _own_cgroups()
    if layout.version == 2:
        return _bind(f"{layout.unified}{own.get('', '/') if private else ''}", attributes)
    return _tmpfs(options)


def attach_hierarchies(root_fd: int, target_fd: int, layout: Layout, options: MountOptions) -> None:
    """v1: a bind of the container's own cgroup of each hierarchy, in the tmpfs that is attached already."""
    attributes = options.set_attributes | _SAFE
    own = _own_cgroups()
    for hierarchy in layout.hierarchies:
        path = own.get(",".join(hierarchy.controllers))
        if path is None:
            continue
        name = os.path.basename(hierarchy.mount_point)
        _attach(target_fd, name, _bind(hierarchy.mount_point + path, attributes))
        for controller in hierarchy.controllers:
            if controller != name and "=" not in controller:
                os.symlink(name, controller, dir_fd=target_fd)
    if layout.unified and "" in own:
        _attach(target_fd, "unified", _bind(layout.unified + own[""], attributes))


def _attach(target_fd: int, name: str, tree: int) -> None:
    try:
        os.mkdir(name, 0o755, dir_fd=target_fd)
        place = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=target_fd)
        try:
            mount_api.move_mount(tree, place)
        finally:
            os.close(place)
    finally:
        os.close(tree)


def _bind(path: str, attributes: int) -> int:
    tree = mount_api.open_tree(AT_FDCWD, path, mount_api.OPEN_TREE_CLONE)
    try:
        mount_api.mount_setattr(tree, set_attributes=attributes)
    except BaseException:
        os.close(tree)
        raise
    return tree


def _tmpfs(options: MountOptions) -> int:
    with FileSystemContext("tmpfs") as context:
        context.set_string("source", "tmpfs")
        context.set_string("mode", "755")
        context.create()
        return context.mount(options.set_attributes & ~mount_api.MOUNT_ATTR_RDONLY | _SAFE)


def _own_cgroups() -> dict[str, str]:
    """Controllers (as the kernel joins them by commas; "" for v2) to this process's path, seen from the host."""
    with open("/proc/self/cgroup", encoding="utf-8") as file:
        fields = (line.rstrip("\n").split(":", 2) for line in file)
        return {controllers: path for _, controllers, path in fields}

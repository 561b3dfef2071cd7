"""What this kernel can do, found by trying it, once per process. For ``info``, error hints and the test report.

Each probe leaves nothing behind. A probe that is not allowed (no root) counts as absent.
"""

import os
from collections.abc import Callable
from functools import cache

from wherry.linux import namespaces
from wherry.linux.filesystem import RESOLVE_IN_ROOT, openat2
from wherry.linux.idmap import IdMapping, user_namespace
from wherry.linux.mount_api import (
    AT_FDCWD,
    MOUNT_ATTR_IDMAP,
    MOUNT_ATTR_RDONLY,
    OPEN_TREE_CLONE,
    FileSystemContext,
    mount_setattr,
    open_tree,
)
from wherry.linux.process import clone3


def _openat2() -> None:
    os.close(openat2(AT_FDCWD, "/", os.O_PATH, resolve=RESOLVE_IN_ROOT))


def _mount_api() -> None:
    os.close(_tmpfs())


def _tmpfs() -> int:
    with FileSystemContext("tmpfs") as context:
        context.create()
        return context.mount()


def _recursive_read_only() -> None:
    tree = open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE)
    try:
        mount_setattr(tree, set_attributes=MOUNT_ATTR_RDONLY, recursive=True)
    finally:
        os.close(tree)


def _idmapped_mounts() -> None:
    mapping = [IdMapping(0, 100000, 65536)]
    userns = user_namespace(mapping, mapping)
    tree = _tmpfs()
    try:
        mount_setattr(tree, set_attributes=MOUNT_ATTR_IDMAP, userns_fd=userns)
    finally:
        os.close(tree)
        os.close(userns)


def _overlay_layers_one_by_one() -> None:
    with FileSystemContext("overlay") as context:
        context.set_string("lowerdir+", "/")


def _namespace(kind: str) -> Callable[[], None]:
    def probe() -> None:
        pid, pidfd = clone3(0)
        if pid == 0:
            try:
                namespaces.unshare(namespaces.FLAGS[kind])
            except OSError:
                os._exit(1)
            os._exit(0)
        os.close(pidfd)
        if os.waitpid(pid, 0)[1]:
            raise OSError

    return probe


_PROBES: dict[str, Callable[[], None]] = {
    "openat2": _openat2,
    "mount API": _mount_api,
    "mount_setattr": _recursive_read_only,
    "idmapped mounts": _idmapped_mounts,
    "overlay lowerdir+": _overlay_layers_one_by_one,
    **{f"{kind} namespace": _namespace(kind) for kind in namespaces.FLAGS},
}

NAMES = tuple(_PROBES)


@cache
def has(name: str) -> bool:
    """Whether the kernel, with this process's rights, has the feature. KeyError for a name not in NAMES."""
    try:
        _PROBES[name]()
    except OSError:
        return False
    return True


def report() -> dict[str, bool]:
    """Every probe's answer."""
    return {name: has(name) for name in NAMES}

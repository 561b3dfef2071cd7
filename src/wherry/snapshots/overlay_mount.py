"""The engine's own look at a merged file system: a detached overlay mount that only a descriptor holds.

Nothing appears in the host's mount table and nothing is left behind: the last close unmounts. Containers mount their
own overlay (``runtime/rootfs.py``).
"""

import errno
import os
import threading
from collections.abc import Sequence

from wherry.linux import mount, mount_api
from wherry.linux.mount_api import FileSystemContext
from wherry.linux.namespaces import CLONE_NEWNS, unshare

_ATTRIBUTES = mount_api.MOUNT_ATTR_NOSUID | mount_api.MOUNT_ATTR_NODEV | mount_api.MOUNT_ATTR_NOEXEC
# S28: a layer's attributes lead nowhere.
_SAFE = {"redirect_dir": "nofollow", "metacopy": "off", "index": "off"}
_CLONE_FS = 0x200


def open_merged(links_dir: str, lower: Sequence[str], *, upper: str = "", work: str = "") -> int:
    """A descriptor of the root of ``lower`` (top first), writable into ``upper`` when it is given.

    ``lower`` are paths, absolute or relative to ``links_dir``. The caller closes the descriptor. Raises OSError.
    """
    if len(lower) == 1 and not upper:
        return _open_single(os.path.join(links_dir, lower[0]))
    try:
        return _by_context([os.path.join(links_dir, path) for path in lower], upper, work)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
    return _by_mount(links_dir, lower, upper, work)  # before Linux 6.8, which brought lowerdir+


def _open_single(path: str) -> int:
    """overlayfs wants two layers; one is shown as it is."""
    fd = mount_api.open_tree(mount_api.AT_FDCWD, path, mount_api.OPEN_TREE_CLONE)
    try:
        mount_api.mount_setattr(fd, set_attributes=_ATTRIBUTES | mount_api.MOUNT_ATTR_RDONLY)
        return _readable(fd)
    finally:
        os.close(fd)


def _by_context(lower: Sequence[str], upper: str, work: str) -> int:
    with FileSystemContext("overlay") as context:
        for path in lower:
            context.set_string("lowerdir+", path)
        if upper:
            context.set_string("upperdir", upper)
            context.set_string("workdir", work)
        for key, value in _SAFE.items():
            context.set_string(key, value)
        context.create()
        fd = context.mount(_ATTRIBUTES | (0 if upper else mount_api.MOUNT_ATTR_RDONLY))
    try:
        return _readable(fd)
    finally:
        os.close(fd)


def _by_mount(links_dir: str, lower: Sequence[str], upper: str, work: str) -> int:
    """mount(2) in a mount namespace of a thread of its own; what it leaves is a clone of the mount.

    The thread's working directory is ``links_dir``: relative paths keep a hundred layers within the page of options.
    """
    options = [f"{key}={value}" for key, value in _SAFE.items()]
    options.append("lowerdir=" + ":".join(path.replace("\\", "\\\\").replace(":", "\\:") for path in lower))
    if upper:
        options += [f"upperdir={upper}", f"workdir={work}"]
    result: list[int] = []
    error: list[OSError] = []

    def run() -> None:
        try:
            unshare(CLONE_NEWNS | _CLONE_FS)
            mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)
            os.chdir(links_dir)
            flags = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC | (0 if upper else mount.MS_RDONLY)
            mount.mount("overlay", links_dir, "overlay", flags, ",".join(options))
            fd = mount_api.open_tree(mount_api.AT_FDCWD, links_dir, mount_api.OPEN_TREE_CLONE)
            try:
                result.append(_readable(fd))
            finally:
                os.close(fd)
        except OSError as exc:  # handed to the thread that waits for this one
            error.append(exc)

    thread = threading.Thread(target=run, name="overlay-mount")
    thread.start()
    thread.join()
    if error:
        raise error[0]
    return result[0]


def _readable(path_fd: int) -> int:
    """The same directory as a descriptor that can be listed: what holds a detached mount is O_PATH."""
    return os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=path_fd)

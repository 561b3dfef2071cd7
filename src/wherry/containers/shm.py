"""The shared memory of a container with ``--ipc shareable``: a tmpfs on the host, so that others can join it.

<run_root>/containers/<id>/shm     unmounted at the container's end, and by recovery
"""

import errno
import os

from wherry.linux import mount


def mount_shm(run_directory: str, size_bytes: int) -> str:
    """Mount it; its path. Idempotent: one left by a crash is replaced."""
    path = f"{run_directory}/shm"
    unmount_shm(run_directory)
    os.mkdir(path, 0o700)
    mount.mount(
        "shm", path, "tmpfs", mount.MS_NOSUID | mount.MS_NOEXEC | mount.MS_NODEV, f"mode=1777,size={size_bytes}"
    )
    return path


def unmount_shm(run_directory: str) -> None:
    """Take it away; containers that joined keep their view until they end. Idempotent."""
    path = f"{run_directory}/shm"
    try:
        mount.umount(path, mount.MNT_DETACH)
    except OSError as exc:
        if exc.errno not in (errno.EINVAL, errno.ENOENT):  # not a mount, or not there
            raise
    try:
        os.rmdir(path)
    except FileNotFoundError:
        pass  # there was none

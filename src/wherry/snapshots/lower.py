"""What a stack of layers' directories (top first) shows at a path, without mounting it."""

import errno
import os
import stat
from collections.abc import Sequence

from wherry.linux.filesystem import RESOLVE_NO_SYMLINKS, openat2

# Mode, uid and gid.
Ownership = tuple[int, int, int]


def directory_status(layers: Sequence[str], path: bytes) -> os.stat_result | None:
    """The directory at ``path`` in the topmost layer that has the name; None for nothing, or for anything else.

    A whiteout is something else. No symlink is followed. Opaque directories above ``path`` are not looked for.
    """
    for layer in layers:
        root_fd = os.open(layer, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fd = openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_NO_SYMLINKS)
        except OSError as exc:
            if exc.errno == errno.ENOENT:
                continue
            if exc.errno in (errno.ENOTDIR, errno.ELOOP):
                return None
            raise
        finally:
            os.close(root_fd)
        try:
            status = os.fstat(fd)
        finally:
            os.close(fd)
        return status if stat.S_ISDIR(status.st_mode) else None
    return None


def ownership(status: os.stat_result) -> Ownership:
    """Mode, uid and gid of a status."""
    return stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid


def root_ownership(layers: Sequence[str]) -> Ownership:
    """Of the merged root: the topmost layer's."""
    return ownership(os.stat(layers[0])) if layers else (0o755, 0, 0)


def copy_root_ownership(layers: Sequence[str], root_fd: int) -> None:
    """Make a new layer's root look like the one below: overlayfs shows the topmost one's mode and owner."""
    mode, uid, gid = root_ownership(layers)
    os.fchown(root_fd, uid, gid)
    os.fchmod(root_fd, mode)

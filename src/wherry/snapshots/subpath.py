"""A path inside a stack of committed layers as a stack of its own: for a mount of a part of an image.

Committed layers do not change, and no symlink is followed on the way: the paths that come out can be mounted as they
are.
"""

import errno
import os
import stat
from collections.abc import Sequence

from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.snapshots.whiteout import is_opaque, is_whiteout

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY


def subpath(layers: Sequence[str], path: str) -> list[str]:
    """``path`` in ``layers`` (top first): the directories that merge into it, or the one file that is there.

    Raises OSError: ENOENT for nothing there, ELOOP for a symlink on the way, ENOTDIR for a file on the way.
    """
    names = [name for name in path.split("/") if name not in ("", ".")]
    if ".." in names:
        raise OSError(errno.EINVAL, "'..' in the path", path)
    found: list[str] = []
    for layer in layers:
        place, last = _look(layer, names, path)
        if place is not None:
            if stat.S_ISDIR(os.lstat(place).st_mode):
                found.append(place)
            elif not found:
                return [place]
            else:
                break  # a directory above hides the file
        if last:
            break
    if not found:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return found


def _look(layer: str, names: Sequence[str], path: str) -> tuple[str | None, bool]:
    """Where ``names`` is in one layer, if it is; and whether it hides the layers below."""
    current = os.open(layer, _DIRECTORY | os.O_CLOEXEC)
    hides = False
    try:
        for index, name in enumerate(names):
            encoded = os.fsencode(name)
            try:
                status = os.lstat(encoded, dir_fd=current)
            except FileNotFoundError:
                return None, hides
            if is_whiteout(status):
                return None, True
            if stat.S_ISLNK(status.st_mode):
                raise OSError(errno.ELOOP, "a symbolic link in the path", path)
            if not stat.S_ISDIR(status.st_mode):
                if index < len(names) - 1:
                    raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
                return "/".join((layer, *names)), True
            hides = hides or is_opaque(current, encoded)
            inner = openat2(current, encoded, _DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
            os.close(current)
            current = inner
        return "/".join((layer, *names)), hides
    finally:
        os.close(current)

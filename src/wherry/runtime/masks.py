"""Masked and read-only paths (config-linux.md "Masked Paths", "Readonly Paths"; S39, S63, S64).

A masked file is covered by the null device, a masked directory by an empty read-only tmpfs. A path that does not
exist is passed over.
"""

from __future__ import annotations

import os
import stat

from wherry.linux import mount_api
from wherry.linux.filesystem import open_in_root
from wherry.linux.mount_api import FileSystemContext
from wherry.record import TYPE_CHECKING
from wherry.runtime.device_nodes import null_device
from wherry.runtime.failure import RuntimeFailure

if TYPE_CHECKING:
    from collections.abc import Sequence

_MASK = (
    mount_api.MOUNT_ATTR_RDONLY
    | mount_api.MOUNT_ATTR_NOSUID
    | mount_api.MOUNT_ATTR_NODEV
    | mount_api.MOUNT_ATTR_NOEXEC
)


def mask_paths(root_fd: int, paths: Sequence[str]) -> None:
    """Cover the paths. One null device and one tmpfs serve all: each further mask is a bind of the first."""
    attached: dict[bool, int] = {}
    try:
        for path in paths:
            target = _open_existing(root_fd, path)
            if target is None:
                continue
            try:
                directory = stat.S_ISDIR(os.fstat(target).st_mode)
                tree = mount_api.clone_tree(attached[directory], recursive=False) if directory in attached else None
                if tree is None:
                    tree = attached[directory] = _empty_directory() if directory else null_device()
                mount_api.move_mount(tree, target)
                if tree != attached[directory]:
                    os.close(tree)
            except OSError as exc:
                raise RuntimeFailure(f"mask path {path}: {exc.strerror}") from exc
            finally:
                os.close(target)
    finally:
        for tree in attached.values():
            os.close(tree)


def _empty_directory() -> int:
    with FileSystemContext("tmpfs") as context:
        context.set_string("source", "tmpfs")
        context.set_string("mode", "755")
        context.set_string("nr_blocks", "1")
        context.create()
        return context.mount(_MASK)


def make_read_only(root_fd: int, paths: Sequence[str]) -> None:
    """Bind each path over itself, read-only, with everything that is mounted below it."""
    for path in paths:
        target = _open_existing(root_fd, path)
        if target is None:
            continue
        try:
            tree = mount_api.clone_tree(target, recursive=True)
            try:
                mount_api.mount_setattr(tree, set_attributes=mount_api.MOUNT_ATTR_RDONLY, recursive=True)
                mount_api.move_mount(tree, target)
            finally:
                os.close(tree)
        except OSError as exc:
            raise RuntimeFailure(f"make path {path} read-only: {exc.strerror}") from exc
        finally:
            os.close(target)


def _open_existing(root_fd: int, path: str) -> int | None:
    try:
        return open_in_root(root_fd, path, os.O_PATH)
    except (FileNotFoundError, NotADirectoryError):
        return None

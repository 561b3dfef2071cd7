"""The container's terminal: a pty of its own devpts, without any look-up by path of the peer (S40, S52)."""

import os
import stat

from wherry.linux import mount, mount_api, sockets, terminal
from wherry.linux.filesystem import open_in_root, reopen
from wherry.linux.terminal import open_peer, set_controlling, set_window_size, unlock_peer
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.mount_target import open_target

_UNIX98_PTY_MAJOR = 136


def open_console(root_fd: int, *, size: tuple[int, int] | None, uid: int, gid: int | None) -> tuple[int, int]:
    """A pty of the container's /dev/pts: (master, peer). ``size`` is (rows, columns); ``uid`` owns the peer."""
    try:
        pinned = open_in_root(root_fd, "/dev/pts/ptmx", os.O_PATH | os.O_NOFOLLOW)
        try:
            if mount.file_system_magic(pinned) != mount.DEVPTS_MAGIC or not stat.S_ISCHR(os.fstat(pinned).st_mode):
                raise RuntimeFailure("open console: /dev/pts/ptmx is not on a devpts")
            master = reopen(pinned, os.O_RDWR | os.O_NOCTTY)
        finally:
            os.close(pinned)
        unlock_peer(master)
        peer = open_peer(master)
        status = os.fstat(peer)
        if mount.file_system_magic(peer) != mount.DEVPTS_MAGIC or os.major(status.st_rdev) != _UNIX98_PTY_MAJOR:
            raise RuntimeFailure("open console: the peer of the pty is not on a devpts")
        if size is not None:
            set_window_size(master, rows=size[0], columns=size[1])
        if uid != status.st_uid:
            os.fchown(peer, uid, -1 if gid is None else gid)
    except OSError as exc:
        raise RuntimeFailure(f"open console: {exc.strerror}") from exc
    return master, peer


def bind_console(root_fd: int, peer: int) -> None:
    """Show the peer as /dev/console."""
    try:
        target = open_target(root_fd, "/dev/console", directory=False)
        try:
            tree = mount_api.clone_tree(peer, recursive=False)
            try:
                mount_api.move_mount(tree, target)
            finally:
                os.close(tree)
        finally:
            os.close(target)
    except OSError as exc:
        raise RuntimeFailure(f"bind /dev/console: {exc.strerror}") from exc


def take_console(peer: int) -> None:
    """Make the peer stdin, stdout, stderr and the controlling terminal of this (new) session."""
    for fd in (0, 1, 2):
        os.dup2(peer, fd, inheritable=True)
    if peer > 2:
        os.close(peer)
    set_controlling(0)


def send_console(path: str, master: int) -> None:
    """Give the master to whoever listens on ``--console-socket`` (runc's docs/terminals.md)."""
    try:
        endpoint = sockets.connect(path, sockets.SOCK_STREAM)
        try:
            name = f"/dev/pts/{terminal.peer_number(master)}"
            sockets.send_with_fds(endpoint, name.encode(), [master])
        finally:
            endpoint.close()
    except OSError as exc:
        raise RuntimeFailure(f"send console to {path}: {exc.strerror}") from exc

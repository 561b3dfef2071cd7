"""User namespaces that exist only as a descriptor: the mapping of an idmapped mount."""

from __future__ import annotations

import os

from wherry.linux.namespaces import CLONE_NEWUSER, open_namespace
from wherry.linux.process import clone3
from wherry.record import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


class IdMapping(NamedTuple):
    """``size`` ids from ``container_id`` inside are those from ``host_id`` outside."""

    container_id: int
    host_id: int
    size: int


def write_mappings(pid: int, uid_mappings: Sequence[IdMapping], gid_mappings: Sequence[IdMapping]) -> None:
    """Set the mappings of the user namespace that ``pid`` has just made. Needs CAP_SETUID/SETGID outside it."""
    for name, mappings in (("gid_map", gid_mappings), ("uid_map", uid_mappings)):
        if mappings:
            lines = "".join(f"{m.container_id} {m.host_id} {m.size}\n" for m in mappings)
            fd = os.open(f"/proc/{pid}/{name}", os.O_WRONLY | os.O_CLOEXEC)
            try:
                os.write(fd, lines.encode())  # the kernel takes a map in one write only
            finally:
                os.close(fd)


def user_namespace(uid_mappings: Sequence[IdMapping], gid_mappings: Sequence[IdMapping]) -> int:
    """A descriptor of a new user namespace with these mappings and no process in it. Single-threaded callers only."""
    read_end, write_end = os.pipe()
    pid, pidfd = clone3(CLONE_NEWUSER)
    if pid == 0:
        os.close(write_end)
        os.read(read_end, 1)
        os._exit(0)
    try:
        write_mappings(pid, uid_mappings, gid_mappings)
        return open_namespace(pid, "user")
    finally:
        os.close(write_end)
        os.close(read_end)
        os.close(pidfd)
        os.waitpid(pid, 0)

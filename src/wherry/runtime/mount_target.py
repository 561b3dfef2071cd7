"""Where a mount goes: the place inside the container's root, pinned by a descriptor (S36 to S38, S42).

Every look-up is openat2 below the root; what is missing is made one component at a time, each from the
descriptor of its parent. What a container's image or volume holds cannot lead a look-up out.
"""

import errno
import os
import stat

from wherry.linux import mount
from wherry.linux.filesystem import RESOLVE_IN_ROOT, RESOLVE_NO_SYMLINKS, open_in_root, openat2
from wherry.runtime.failure import SpecInvalid

_LINK_LIMIT = 40

# lxcfs and its like put their own view over these files (runc, checkProcMount).
_PROC_FILES = frozenset(
    [
        "/proc/cpuinfo",
        "/proc/diskstats",
        "/proc/meminfo",
        "/proc/stat",
        "/proc/swaps",
        "/proc/uptime",
        "/proc/loadavg",
        "/proc/slabinfo",
        "/proc/sys/kernel/ns_last_pid",
        "/proc/sys/crypto/fips_enabled",
    ]
)


def open_target(root_fd: int, destination: str, *, directory: bool) -> int:
    """An O_PATH descriptor of ``destination`` in the root; what is missing is made (0755, an empty file 0644)."""
    path = destination
    for _ in range(_LINK_LIMIT):
        try:
            return open_in_root(root_fd, path, os.O_PATH)
        except FileNotFoundError:
            redirected = _make_missing(root_fd, path, directory=directory)
            path = redirected or path
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), destination)


def open_ordinary_directory(root_fd: int, destination: str, kind: str) -> int:
    """The target of a proc or sysfs mount: a directory reached without any symlink (S37)."""
    try:
        fd = openat2(
            root_fd, destination.lstrip("/") or ".", os.O_PATH, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS
        )
    except FileNotFoundError:
        fd = open_target(root_fd, destination, directory=True)
    except OSError as exc:
        if exc.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
        raise _not_ordinary(kind) from exc
    if not stat.S_ISDIR(os.fstat(fd).st_mode):
        os.close(fd)
        raise _not_ordinary(kind)
    return fd


def _not_ordinary(kind: str) -> SpecInvalid:
    return SpecInvalid(f'filesystem "{kind}" must be mounted on ordinary directory')


def check_outside_proc(root_fd: int, target_fd: int, *, source_is_proc: bool) -> None:
    """Refuse a mount over or inside /proc, lxcfs's files aside: it would forge what the container's tools and we
    ourselves read there (S42, CVE-2019-16884)."""
    root = os.readlink(f"/proc/self/fd/{root_fd}").rstrip("/")
    place = os.readlink(f"/proc/self/fd/{target_fd}")[len(root) :]
    on_proc = mount.file_system_magic(target_fd) == mount.PROC_MAGIC
    if place == "/proc":
        if not source_is_proc:
            raise SpecInvalid(f'"{place}" cannot be mounted because it is not of type proc')
    elif (on_proc or place.startswith("/proc/")) and place not in _PROC_FILES:
        raise SpecInvalid(f'"{place}" cannot be mounted because it is inside /proc')


def _make_missing(root_fd: int, path: str, *, directory: bool) -> str | None:
    """Make the missing end of ``path``. Returns the path to look up instead when a dangling symlink is in the way."""
    names = [name for name in path.split("/") if name not in ("", ".")]
    present = len(names) - 1
    while True:
        try:
            parent = open_in_root(root_fd, "/" + "/".join(names[:present]), os.O_PATH | os.O_DIRECTORY)
            break
        except FileNotFoundError:
            present -= 1
    try:
        for index in range(present, len(names)):
            name = names[index]
            if name == "..":
                raise OSError(errno.EINVAL, "'..' in a path that does not exist", path)
            try:
                if directory or index < len(names) - 1:
                    os.mkdir(name, 0o755, dir_fd=parent)
                else:
                    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
                    os.close(os.open(name, flags, 0o644, dir_fd=parent))
                    break
            except FileExistsError:
                link = _read_link(name, parent)
                if link is not None:
                    above = [] if link.startswith("/") else names[:index]
                    return "/" + "/".join([*above, link, *names[index + 1 :]])
            child = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
            os.close(parent)
            parent = child
    finally:
        os.close(parent)
    return None


def _read_link(name: str, parent: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=parent)
    except OSError as exc:
        if exc.errno == errno.EINVAL:  # not a symlink: somebody made the directory between look-up and mkdir
            return None
        raise

"""``docker cp``: files of a container as tar streams, out and in, running or not.

The engine enters nothing: the root is a descriptor (``root.py``), paths are resolved below it by openat2, what is
read or written is pinned (S69, S70). A stopped container's volumes count: a path below a mount's destination is
looked up in its source.
"""

import errno
import os
import stat as stat_bits
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO

from wherry.containers.archive_reader import ContainerTarReader
from wherry.containers.container import Container, MountPoint
from wherry.containers.container_events import publish
from wherry.containers.root import root_of, running_account_files
from wherry.containers.services import Services
from wherry.containers.tree_tar import write_tree
from wherry.containers.user import resolve as resolve_user
from wherry.containers.wire import timestamp_ns
from wherry.content.compression import DecompressedReader
from wherry.errors import Conflict, Forbidden, InvalidParameter, NotFound
from wherry.linux.filesystem import open_in_root
from wherry.snapshots import pipeline
from wherry.snapshots.snapshotter import MAX_LAYER_BYTES, Source
from wherry.snapshots.unpack import unpack
from wherry.volumes.mount_spec import clean

# Go's os.FileMode bits.
_GO_KINDS = {
    stat_bits.S_IFDIR: 1 << 31, stat_bits.S_IFLNK: 1 << 27, stat_bits.S_IFBLK: 1 << 26,
    stat_bits.S_IFCHR: 1 << 26 | 1 << 21, stat_bits.S_IFIFO: 1 << 25, stat_bits.S_IFSOCK: 1 << 24,
}  # fmt: skip
_GO_SPECIAL = ((stat_bits.S_ISUID, 1 << 23), (stat_bits.S_ISGID, 1 << 22), (stat_bits.S_ISVTX, 1 << 20))


class Archive:
    """One path, pinned. ``write_to`` once; it closes what is held."""

    def __init__(self, stat: dict[str, Any], held: ExitStack, parent_fd: int, name: str, arcname: bytes) -> None:
        self.stat = stat
        self._held = held
        self._parent_fd = parent_fd
        self._name = name
        self._arcname = arcname

    def write_to(self, write: Callable[[bytes], Any]) -> None:
        """Write the tar: the file, or the directory with everything below it."""
        with self._held:
            write_tree(self._parent_fd, self._name, self._arcname, write)


@dataclass(frozen=True, slots=True)
class _Place:
    """The pinned parent directory and the last component; ``name`` "." for the root itself."""

    parent_fd: int
    name: str


def stat(services: Services, reference: str, path: str) -> dict[str, Any]:
    """Docker's ContainerPathStat."""
    container = services.containers.get(reference)
    with _located(services, reference, container, path, writable=False) as place:
        return _path_stat(place, path)


def open_archive(services: Services, reference: str, path: str) -> Archive:
    """Pin what is at ``path``; NotFound with Docker's text."""
    container = services.containers.get(reference)
    held = ExitStack()
    try:
        place = held.enter_context(_located(services, reference, container, path, writable=False))
        described = _path_stat(place, path)
        arcname = os.fsencode(described["name"]) if described["name"] != "/" else b""
        publish(services.events, container, "archive-path")
        return Archive(described, held, place.parent_fd, place.name, arcname)
    except BaseException:
        held.close()
        raise


def put(
    services: Services,
    reference: str,
    path: str,
    stream: BinaryIO,
    *,
    no_overwrite_dir_non_dir: bool = False,
    copy_uid_gid: bool = False,
) -> None:
    """Unpack an uncompressed or compressed tar into the directory ``path``; nothing can leave it."""
    container = services.containers.get(reference)
    owner: tuple[int, int] | None = None
    if copy_uid_gid and container.record.config.user:
        if not container.running:
            raise Conflict(f"container {container.id} is not running: its user cannot be looked up")
        user = resolve_user(container.record.config.user, (), running_account_files(container))
        owner = (user.uid, user.gid)
    with _located(services, reference, container, path.rstrip("/") + "/", writable=True) as place:
        try:
            target = os.open(
                place.name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=place.parent_fd
            )
        except NotADirectoryError as exc:
            raise InvalidParameter("extraction point is not a directory") from exc
        try:

            def write(source: Source) -> int:
                reader = ContainerTarReader(
                    source, target_fd=target, owner=owner, keep_kinds=no_overwrite_dir_non_dir
                )
                return unpack(reader, target, lower=None, whiteouts=False)

            # Decompressed here, outside of the container and before its root is touched (S70).
            pipeline.run(DecompressedReader(stream), write, max_bytes=MAX_LAYER_BYTES)
        finally:
            os.close(target)
    publish(services.events, container, "extract-to-dir")


@contextmanager
def _located(
    services: Services, reference: str, container: Container, path: str, *, writable: bool
) -> Iterator[_Place]:
    if "\0" in path:
        raise InvalidParameter("invalid path: NUL byte")
    cleaned = clean(path)
    follow = path.endswith(("/", "/."))
    mount = None if container.running else _mount_of(container, cleaned)
    if writable:
        _check_writable(container, cleaned, mount)
    with ExitStack() as stack:
        if mount is not None:
            root = os.open(mount.source, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            stack.callback(os.close, root)
            inner = cleaned[len(mount.destination) :] or "/"
        else:
            root = stack.enter_context(root_of(services, container, readonly=not writable))
            inner = cleaned
        try:
            place = _pin(root, inner, follow=follow, stack=stack)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
                shown = path.rstrip("/") or "/"
                raise NotFound(f"Could not find the file {shown} in container {reference}") from exc
            raise
        yield place


def _pin(root: int, path: str, *, follow: bool, stack: ExitStack) -> _Place:
    if follow or path == "/":
        pinned = open_in_root(root, path, os.O_PATH)
        stack.callback(os.close, pinned)
        if stat_bits.S_ISDIR(os.fstat(pinned).st_mode):
            return _Place(pinned, ".")
        if path.endswith("/") or follow:
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), path)
    head, _, name = path.rpartition("/")
    parent = open_in_root(root, head or "/", os.O_PATH | os.O_DIRECTORY)
    stack.callback(os.close, parent)
    os.stat(name, dir_fd=parent, follow_symlinks=False)
    return _Place(parent, name)


def _mount_of(container: Container, path: str) -> MountPoint | None:
    found = [
        point
        for point in container.record.mounts
        if point.type in ("bind", "volume")
        and (path == point.destination or path.startswith(f"{point.destination}/"))
        and os.path.isdir(point.source)
    ]
    return max(found, key=lambda point: len(point.destination), default=None)


def _check_writable(container: Container, path: str, mount: MountPoint | None) -> None:
    if mount is None:
        mount = _mount_of(container, path)
    if mount is not None:
        if not mount.rw:
            raise Forbidden("mounted volume is marked read-only")
    elif container.record.host_config.readonly_rootfs:
        raise Forbidden("container rootfs is marked read-only")


def _path_stat(place: _Place, path: str) -> dict[str, Any]:
    found = os.stat(place.name, dir_fd=place.parent_fd, follow_symlinks=False)
    mode = stat_bits.S_IMODE(found.st_mode) & 0o777 | _GO_KINDS.get(stat_bits.S_IFMT(found.st_mode), 0)
    for bit, go_bit in _GO_SPECIAL:
        if found.st_mode & bit:
            mode |= go_bit
    target = ""
    cleaned = clean(path)
    if stat_bits.S_ISLNK(found.st_mode):
        link = os.readlink(place.name, dir_fd=place.parent_fd)
        target = clean(link if link.startswith("/") else f"{cleaned.rpartition('/')[0]}/{link}")
    return {
        "name": cleaned.rpartition("/")[2] or "/",
        "size": found.st_size,
        "mode": mode,
        "mtime": timestamp_ns(found.st_mtime_ns),
        "linkTarget": target,
    }

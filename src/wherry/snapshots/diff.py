"""What an active snapshot changed: as a list (``docker diff``), as a layer (commit), or as the whole tree (export).

An upper directory is read as overlayfs writes it: whiteouts, opaque directories, copied-up files.
"""

import errno
import os
import stat
from collections.abc import Iterator

from wherry.linux import xattr
from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, openat2
from wherry.log import get_logger
from wherry.snapshots import whiteout
from wherry.snapshots.snapshotter import Change, ChangeKind, Sink
from wherry.snapshots.tar_reader import HARDLINK, Entry
from wherry.snapshots.tar_writer import TarWriter
from wherry.snapshots.walk import Node, walk

logger = get_logger(__name__)

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# Only what a hole saves is worth a format that some tools do not read.
_MIN_HOLE_BYTES = 1 << 20
_PRIVATE_ATTRIBUTES = (b"trusted.", b"security.selinux", *whiteout.OVERLAY_ATTRIBUTES)


def changes(upper_fd: int, lower_fd: int | None) -> Iterator[Change]:
    """Compare an upper directory with the merged file system below it (None: nothing is below).

    As Docker: a directory counts as modified when something in it changed, though not the root; the contents of a
    removed directory are not listed; a file copied up unchanged is no change.
    """
    unchanged: list[bytes] = []  # ancestors not reported yet, outermost first

    def report(path: bytes, kind: ChangeKind) -> Iterator[Change]:
        for ancestor in unchanged:
            yield Change(b"/" + ancestor, ChangeKind.MODIFIED)
        unchanged.clear()
        yield Change(b"/" + path, kind)

    for node in walk(upper_fd):
        while unchanged and not node.path.startswith(unchanged[-1] + b"/"):
            unchanged.pop()
        below = None if lower_fd is None else status_beneath(lower_fd, node.path)
        is_directory = stat.S_ISDIR(node.status.st_mode)
        if whiteout.is_whiteout(node.status):
            if below is not None:
                yield from report(node.path, ChangeKind.DELETED)
        elif below is None:
            yield from report(node.path, ChangeKind.ADDED)
        elif _differs(node.status, below):
            yield from report(node.path, ChangeKind.MODIFIED)
        elif is_directory:
            unchanged.append(node.path)
        if below is not None and stat.S_ISDIR(below.st_mode) and is_directory and lower_fd is not None:
            for path in _hidden(node, lower_fd):
                yield from report(path, ChangeKind.DELETED)


def status_beneath(root_fd: int, path: bytes) -> os.stat_result | None:
    """lstat of ``path`` below ``root_fd`` without any symlink on the way; None when there is nothing."""
    try:
        fd = openat2(root_fd, path, os.O_PATH | os.O_NOFOLLOW, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if exc.errno == errno.ELOOP:  # a symlink: at the end it is the answer, on the way there is nothing
            return _link_beneath(root_fd, path)
        raise
    try:
        return os.fstat(fd)
    finally:
        os.close(fd)


def _link_beneath(root_fd: int, path: bytes) -> os.stat_result | None:
    head, _, name = path.rpartition(b"/")
    try:
        parent = openat2(root_fd, head or b".", os.O_PATH, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    except OSError as exc:
        if exc.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return None
        raise
    try:
        return os.lstat(name, dir_fd=parent)
    except FileNotFoundError:
        return None
    finally:
        os.close(parent)


def _differs(new: os.stat_result, old: os.stat_result) -> bool:
    if (new.st_mode, new.st_uid, new.st_gid, new.st_rdev) != (old.st_mode, old.st_uid, old.st_gid, old.st_rdev):
        return True
    if stat.S_ISDIR(new.st_mode):
        return False
    return (new.st_size, new.st_mtime_ns) != (old.st_size, old.st_mtime_ns)


def _hidden(node: Node, lower_fd: int) -> list[bytes]:
    """What the layers below have right in a directory that is opaque, and is not in it again."""
    if not whiteout.is_opaque(node.dir_fd, node.name):
        return []
    upper = openat2(
        node.dir_fd, node.name, os.O_RDONLY | os.O_DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS
    )
    try:
        kept = set(os.listdir(upper))
    finally:
        os.close(upper)
    lower = openat2(lower_fd, node.path, os.O_RDONLY | os.O_DIRECTORY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS)
    try:
        hidden = sorted(os.fsencode(name) for name in os.listdir(lower) if name not in kept)
    finally:
        os.close(lower)
    return [node.path + b"/" + name for name in hidden]


def write_layer(upper_fd: int, out: Sink, *, root_changed: bool) -> None:
    """Write an upper directory as an OCI layer: whiteouts by name, everything else as it is.

    ``root_changed``: the root's own mode or owner differs from the layers below and gets an entry.
    """
    writer = TarWriter(out)
    if root_changed:
        writer.add(_entry(b"", b".", upper_fd, os.fstat(upper_fd)))
    _write_nodes(upper_fd, writer, layer=True)
    writer.finish()


def write_tree(root_fd: int, out: Sink) -> None:
    """Write the tree below ``root_fd`` as it is."""
    writer = TarWriter(out)
    _write_nodes(root_fd, writer, layer=False)
    writer.finish()


def _write_nodes(root_fd: int, writer: TarWriter, *, layer: bool) -> None:
    first_names: dict[tuple[int, int], bytes] = {}
    for node in walk(root_fd):
        status = node.status
        if stat.S_ISSOCK(status.st_mode):
            continue  # tar has no sockets
        if layer and whiteout.is_whiteout(status):
            writer.add(_mark(node.path[: len(node.path) - len(node.name)] + whiteout.PREFIX + node.name))
            continue
        if layer and node.name.startswith(whiteout.PREFIX):
            logger.warning("leave out %r: a layer cannot hold a name that begins with .wh.", node.path)
            continue
        entry = _entry(node.path, node.name, node.dir_fd, status)
        if status.st_nlink > 1 and not stat.S_ISDIR(status.st_mode):
            identity = (status.st_dev, status.st_ino)
            first = first_names.setdefault(identity, node.path)
            if first != node.path:
                entry.file_type, entry.link, entry.xattrs, entry.size = HARDLINK, first, {}, 0
                writer.add(entry)
                continue
        if stat.S_ISREG(status.st_mode):
            _add_file(writer, node, entry)
            continue
        writer.add(entry)
        if layer and stat.S_ISDIR(status.st_mode) and whiteout.is_opaque(node.dir_fd, node.name):
            writer.add(_mark(node.path + b"/" + whiteout.OPAQUE_NAME))


def _add_file(writer: TarWriter, node: Node, entry: Entry) -> None:
    try:
        fd = os.open(node.name, _FILE, dir_fd=node.dir_fd)
    except FileNotFoundError:
        return  # removed by a running container
    try:
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            return  # replaced by a running container
        entry.size = status.st_size
        if status.st_size - status.st_blocks * 512 >= _MIN_HOLE_BYTES:
            entry.sparse = _extents(fd, status.st_size)
        writer.add(entry, fd)
    finally:
        os.close(fd)


def _extents(fd: int, size: int) -> list[tuple[int, int]] | None:
    """Where the data of a sparse file lies; None when the file system does not say."""
    extents: list[tuple[int, int]] = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as exc:
            if exc.errno == errno.ENXIO:  # only a hole is left
                break
            raise
        at = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        if start >= size:
            break
        extents.append((start, at - start))
    if not extents or sum(extents[-1]) != size:
        extents.append((size, 0))  # the hole at the end, as GNU tar marks it
    return extents if extents != [(0, size)] else None


def _entry(path: bytes, name: bytes, dir_fd: int, status: os.stat_result) -> Entry:
    file_type = stat.S_IFMT(status.st_mode)
    device = (0, 0)
    if file_type in (stat.S_IFCHR, stat.S_IFBLK):
        device = (os.major(status.st_rdev), os.minor(status.st_rdev))
    return Entry(
        path=path,
        file_type=file_type,
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
        size=status.st_size if file_type == stat.S_IFREG else 0,
        mtime_ns=status.st_mtime_ns,
        link=os.readlink(name, dir_fd=dir_fd) if file_type == stat.S_IFLNK else b"",
        device=device,
        xattrs=_attributes(dir_fd, name),
        sparse=None,
        offset=0,
    )


def _attributes(dir_fd: int, name: bytes) -> dict[bytes, bytes]:
    values = {
        attribute: xattr.get_at(dir_fd, name, attribute)
        for attribute in xattr.list_at(dir_fd, name)
        if not attribute.startswith(_PRIVATE_ATTRIBUTES)
    }
    return {attribute: value for attribute, value in values.items() if value is not None}


def _mark(path: bytes) -> Entry:
    """A whiteout's entry: an empty file."""
    return Entry(path, stat.S_IFREG, 0o600, 0, 0, 0, 0, b"", (0, 0), {}, None, 0)

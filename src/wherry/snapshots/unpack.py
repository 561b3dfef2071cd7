"""Write a layer's entries into a directory that nothing in the archive can leave.

Every path is resolved by openat2 inside the root (a symlinked parent leads to where it would in the container);
the last component is created with O_EXCL or handled without following it; metadata goes to open descriptors or to
names in a pinned directory. No string comparison decides where a file lands. Threats S20-S30 of the security notes.

The calling thread must have a umask of 0 (:mod:`wherry.snapshots.pipeline` gives it a private one).
"""

import errno
import os
import stat
from collections.abc import Callable

from wherry.linux import xattr
from wherry.linux.filesystem import open_in_root
from wherry.snapshots import whiteout
from wherry.snapshots.remove_tree import remove_tree
from wherry.snapshots.snapshotter import LayerRejected, SnapshotFailed
from wherry.snapshots.tar_reader import HARDLINK, Entry, TarReader

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PARENT = os.O_PATH | os.O_DIRECTORY
_CACHED_PARENTS = 64

# The machine's fault; every other errno while unpacking is the archive's.
_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EPERM,
            errno.EACCES, errno.ENOSYS}  # fmt: skip

# A directory that is not there any more when the layer is complete.
_REPLACED = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)

LowerStatus = Callable[[bytes], os.stat_result | None]


def unpack(reader: TarReader, root_fd: int, *, lower: LowerStatus | None, whiteouts: bool = True) -> int:
    """Write every entry below ``root_fd``; return the sum of the sizes of the files in the layer's tar.

    ``lower`` says what the layers below have at a path (for parents that the archive does not mention); None means
    that there are none, and whiteouts have nothing to hide. Without ``whiteouts`` their names are like any other: the
    archive is not a layer. Raises LayerRejected or SnapshotFailed; what was written by then
    stays for the caller to remove.
    """
    unpacker = _Unpacker(reader, root_fd, lower, whiteouts=whiteouts)
    size = 0
    try:
        for entry in reader:
            try:
                unpacker.apply(entry)
            except OSError as exc:
                raise _failure(entry, exc) from exc
            if entry.file_type == stat.S_IFREG:
                size += entry.size
            elif entry.file_type == stat.S_IFLNK:
                size += len(entry.link)
        unpacker.finish()
    finally:
        unpacker.close()
    return size


def _failure(entry: Entry, exc: OSError) -> LayerRejected | SnapshotFailed:
    path = os.fsdecode(entry.path)
    kind = SnapshotFailed if exc.errno in _MACHINE else LayerRejected
    return kind(f"create {path!r} (tar header at byte {entry.offset}): {exc.strerror}")


def _finish_failure(path: bytes, exc: OSError) -> SnapshotFailed:
    return SnapshotFailed(f"set the time of {os.fsdecode(path)!r}: {exc.strerror}")


class _Unpacker:
    """The state of one layer: pinned parents, and what directories get at the end."""

    def __init__(self, reader: TarReader, root_fd: int, lower: LowerStatus | None, *, whiteouts: bool) -> None:
        self._reader = reader
        self._root = root_fd
        self._lower = lower
        self._whiteouts = whiteouts
        self._parents: dict[bytes, int] = {b"": root_fd}
        self._finish: dict[bytes, tuple[int, int, int]] = {}  # directory → mtime_ns, mode, inode number

    def close(self) -> None:
        for fd in self._parents.values():
            if fd != self._root:
                os.close(fd)
        self._parents = {}

    def apply(self, entry: Entry) -> None:
        path = entry.path
        if not path:
            self._root_entry(entry)
            return
        head, _, name = path.rpartition(b"/")
        if b".wh." in path and self._whiteouts and self._whiteout(head, name):
            return
        parent = self._parents.get(head)
        if parent is None:
            parent = self._open_parent(head)
        file_type = entry.file_type
        if file_type == stat.S_IFREG:
            self._file(entry, parent, name)
        elif file_type == stat.S_IFDIR:
            self._directory(entry, parent, name)
        elif file_type == HARDLINK:
            self._hardlink(entry, parent, name)
        else:
            self._special(entry, parent, name)

    def finish(self) -> None:
        """Times of directories, which every entry in them would have changed, and their set-group-id bits, which
        every entry in them would have inherited."""
        for path, (mtime_ns, mode, inode) in self._finish.items():
            try:
                fd = open_in_root(self._root, path or b".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            except OSError as exc:
                if exc.errno in _REPLACED:
                    continue
                raise _finish_failure(path, exc) from exc
            try:
                if os.fstat(fd).st_ino != inode:
                    continue  # a later entry has put something else there
                if mode & stat.S_ISGID:
                    os.fchmod(fd, mode)
                os.utime(fd, ns=(mtime_ns, mtime_ns))
            except OSError as exc:
                raise _finish_failure(path, exc) from exc
            finally:
                os.close(fd)

    # -- parents

    def _parent(self, head: bytes) -> int:
        """A descriptor of the directory ``head``, made when it is missing; valid until the next call."""
        parent = self._parents.get(head)
        return self._open_parent(head) if parent is None else parent

    def _open_parent(self, head: bytes) -> int:
        try:
            fd = open_in_root(self._root, head, _PARENT)
        except FileNotFoundError:
            return self._make_parents(head)
        self._remember(head, fd)
        return fd

    def _make_parents(self, path: bytes) -> int:
        """Make the directories that the archive uses without naming them."""
        parent, done = self._root, b""
        for component in path.split(b"/"):
            below = b"%s/%s" % (done, component) if done else component
            try:
                fd = open_in_root(self._root, below, _PARENT)
            except FileNotFoundError:
                self._make_implicit(below, parent, component)
                fd = open_in_root(self._root, below, _PARENT)
            self._remember(below, fd)
            parent, done = fd, below
        return parent

    def _remember(self, path: bytes, fd: int) -> None:
        parents = self._parents
        old = parents.pop(path, None)
        if old is not None:
            os.close(old)
        if len(parents) > _CACHED_PARENTS:
            oldest = next(key for key in parents if key)
            os.close(parents.pop(oldest))
        parents[path] = fd

    def _forget_parents(self, kept: int) -> None:
        """A directory or link in ``kept`` was replaced: another remembered path may lead elsewhere now."""
        for path, fd in list(self._parents.items()):
            if fd not in (self._root, kept):
                os.close(self._parents.pop(path))

    def _make_implicit(self, path: bytes, parent: int, name: bytes) -> None:
        """Make one directory, like the one that the layers below have at its path."""
        below = self._lower(path) if self._lower else None
        mode = stat.S_IMODE(below.st_mode) if below else 0o755
        os.mkdir(name, mode & ~stat.S_ISGID, dir_fd=parent)
        if below:
            if below.st_uid or below.st_gid:
                os.chown(name, below.st_uid, below.st_gid, dir_fd=parent, follow_symlinks=False)
            self._finish[path] = (below.st_mtime_ns, mode, os.lstat(name, dir_fd=parent).st_ino)

    # -- entries

    def _root_entry(self, entry: Entry) -> None:
        if entry.file_type != stat.S_IFDIR:
            raise LayerRejected("the root of the layer is not a directory")
        os.fchown(self._root, entry.uid, entry.gid)
        os.fchmod(self._root, entry.mode & ~stat.S_ISGID)
        self._xattrs(entry, self._root, b".")
        self._finish[b""] = (entry.mtime_ns, entry.mode, os.fstat(self._root).st_ino)

    def _file(self, entry: Entry, parent: int, name: bytes) -> None:
        try:
            fd = os.open(name, _NEW_FILE, entry.mode & 0o777, dir_fd=parent)
        except FileExistsError:
            self._clear(entry.path, parent, name)
            fd = os.open(name, _NEW_FILE, entry.mode & 0o777, dir_fd=parent)
        try:
            if entry.sparse is not None:
                self._write_sparse(fd, entry)
            elif entry.size:
                for view in self._reader.chunks():
                    _write_all(fd, view)
            if entry.uid or entry.gid:
                os.fchown(fd, entry.uid, entry.gid)
            if entry.mode & 0o7000:
                os.fchmod(fd, entry.mode)  # after the owner, whose change clears set-user-id
            if entry.xattrs:
                self._xattrs(entry, parent, name)  # after the data, whose change clears security.capability
            os.utime(fd, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(fd)

    def _write_sparse(self, fd: int, entry: Entry) -> None:
        os.ftruncate(fd, entry.size)
        extents = iter(entry.sparse or ())
        left = 0
        for view in self._reader.chunks():
            while view:
                while not left:
                    offset, left = next(extents)
                    os.lseek(fd, offset, os.SEEK_SET)
                part = view[:left]
                _write_all(fd, part)
                left -= len(part)
                view = view[len(part) :]

    def _directory(self, entry: Entry, parent: int, name: bytes) -> None:
        created = True
        try:
            os.mkdir(name, entry.mode & 0o1777, dir_fd=parent)
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
                created = False
            else:
                self._clear(entry.path, parent, name)
                os.mkdir(name, entry.mode & 0o1777, dir_fd=parent)
                if self._lower:  # the file or whiteout that was here hid the directory below
                    whiteout.make_opaque(parent, name)
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        self._remember(entry.path, fd)
        if not created or entry.uid or entry.gid:
            os.fchown(fd, entry.uid, entry.gid)
        if not created or entry.mode & 0o4000:
            os.fchmod(fd, entry.mode & ~stat.S_ISGID)
        if entry.xattrs:
            self._xattrs(entry, fd, b".")
        self._finish[entry.path] = (entry.mtime_ns, entry.mode, os.fstat(fd).st_ino)

    def _hardlink(self, entry: Entry, parent: int, name: bytes) -> None:
        if entry.link == entry.path:
            raise LayerRejected(f"{os.fsdecode(entry.path)!r} is a hard link to itself")
        head, _, target = entry.link.rpartition(b"/")
        if not target:
            raise LayerRejected(f"{os.fsdecode(entry.path)!r} is a hard link to the root")
        cached = self._parents.get(head)
        source = open_in_root(self._root, head, _PARENT) if cached is None else cached
        try:
            os.link(target, name, src_dir_fd=source, dst_dir_fd=parent, follow_symlinks=False)
        except FileExistsError:
            if not os.path.samestat(os.lstat(target, dir_fd=source), os.lstat(name, dir_fd=parent)):
                self._clear(entry.path, parent, name)
                self._hardlink(entry, parent, name)
        except PermissionError as exc:
            if stat.S_ISDIR(os.lstat(target, dir_fd=source).st_mode):
                raise LayerRejected(f"{os.fsdecode(entry.path)!r} is a hard link to a directory") from exc
            raise
        finally:
            if cached is None:
                os.close(source)

    def _special(self, entry: Entry, parent: int, name: bytes) -> None:
        """A symlink, device or FIFO: made, never opened (S27)."""
        try:
            self._make_special(entry, parent, name)
        except FileExistsError:
            self._clear(entry.path, parent, name)
            self._make_special(entry, parent, name)
        if entry.uid or entry.gid:
            os.chown(name, entry.uid, entry.gid, dir_fd=parent, follow_symlinks=False)
        if entry.xattrs:
            self._xattrs(entry, parent, name)
        os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=parent, follow_symlinks=False)

    def _make_special(self, entry: Entry, parent: int, name: bytes) -> None:
        if entry.file_type == stat.S_IFLNK:
            os.symlink(entry.link, name, dir_fd=parent)
        else:
            os.mknod(name, entry.file_type | entry.mode & 0o777, os.makedev(*entry.device), dir_fd=parent)

    def _clear(self, path: bytes, parent: int, name: bytes) -> None:
        """Remove what an earlier entry of the same layer left at ``name``."""
        mode = os.lstat(name, dir_fd=parent).st_mode
        if stat.S_ISLNK(mode) or stat.S_ISDIR(mode):
            self._forget_parents(kept=parent)
        if not stat.S_ISDIR(mode):
            os.unlink(name, dir_fd=parent)
            return
        # What _finish has of the directories in it is told by their inodes: to look for them here would let a layer
        # of n entries cost n² steps.
        self._finish.pop(path, None)
        remove_tree(parent, name)

    def _xattrs(self, entry: Entry, dir_fd: int, name: bytes) -> None:
        for attribute, value in entry.xattrs.items():
            if attribute.startswith(whiteout.OVERLAY_ATTRIBUTES) or attribute == b"security.selinux":
                continue  # S28; and labels belong to the host's policy
            try:
                xattr.set_at(dir_fd, name, attribute, value)
            except OSError as exc:
                # As Docker: an attribute that this file system, or this type of file, cannot have is left out.
                if exc.errno == errno.EOPNOTSUPP or (exc.errno == errno.EPERM and attribute.startswith(b"user.")):
                    continue
                raise

    def _whiteout(self, head: bytes, name: bytes) -> bool:
        """Handle ``name`` when it is a whiteout (S26); False for an ordinary entry."""
        for component in head.split(b"/"):
            if component.startswith(whiteout.RESERVED_PREFIX):
                return True  # inside aufs' own records
            if component.startswith(whiteout.PREFIX):
                raise LayerRejected(f"a whiteout used as a directory: {os.fsdecode(head)!r}")
        if not name.startswith(whiteout.PREFIX):
            return False
        if name == whiteout.OPAQUE_NAME:
            if self._lower and head:
                self._parent(head)  # made, when the archive does not name it
                above, _, directory = head.rpartition(b"/")
                self._opaque(head, self._parent(above), directory)
            elif self._lower:
                whiteout.make_opaque(self._root, b".")
            return True
        if name.startswith(whiteout.RESERVED_PREFIX):
            return True
        hidden = name[len(whiteout.PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise LayerRejected(f"invalid whiteout {os.fsdecode(name)!r}")
        if self._lower:
            parent = self._parent(head)
            try:
                whiteout.make_whiteout(parent, hidden)
            except FileExistsError:
                # The layer has a file of this name: it hides the one below anyway, unless both are directories.
                if stat.S_ISDIR(os.lstat(hidden, dir_fd=parent).st_mode):
                    whiteout.make_opaque(parent, hidden)
        return True

    def _opaque(self, head: bytes, parent: int, name: bytes) -> None:
        if not stat.S_ISDIR(os.lstat(name, dir_fd=parent).st_mode):
            raise LayerRejected(f"an opaque whiteout in {os.fsdecode(head)!r}, which is not a directory")
        whiteout.make_opaque(parent, name)


def _write_all(fd: int, view: memoryview) -> None:
    while view:
        view = view[os.write(fd, view) :]

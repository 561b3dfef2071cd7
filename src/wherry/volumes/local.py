"""The local driver: a directory per volume, and for volumes with mount options a mount on it while it is used.

<data_root>/volumes/                   0711
<data_root>/volumes/<name>/_data       what containers see; its owner and mode are the content's
<data_root>/volumes/<name>/filling     the first content while it is copied from an image; then it becomes _data
<data_root>/volumes/.trash/            directories on their way out
"""

import errno
import os
import secrets
from collections.abc import Callable, Mapping

from wherry.linux import mount, mountinfo
from wherry.linux.filesystem import RENAME_EXCHANGE, renameat2, sync_directory, syncfs
from wherry.snapshots.remove_tree import remove_tree
from wherry.snapshots.usage import measure
from wherry.volumes.local_options import failure, parse_mount

DRIVER = "local"
_CONTENT = "_data"
_FILLING = "filling"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalDriver:
    """Directories below one root. Callers hold the volume name's lock."""

    def __init__(self, data_root: str) -> None:
        self.root = f"{data_root}/volumes"
        self._trash = f"{self.root}/.trash"
        os.makedirs(self._trash, mode=0o700, exist_ok=True)
        os.chmod(self.root, 0o711)

    def path(self, name: str) -> str:
        """The mount point of a volume."""
        return f"{self.root}/{name}/{_CONTENT}"

    def create(self, name: str) -> str:
        """Make the directory; it is durable on return. One left by a crash is taken over."""
        os.makedirs(self.path(name), mode=0o755, exist_ok=True)
        os.chmod(f"{self.root}/{name}", 0o711)
        sync_directory(self.root)
        return self.path(name)

    def mount(self, name: str, options: Mapping[str, str]) -> None:
        """Mount what the options say (``type``, ``device``, ``o``) on the volume's directory. Idempotent."""
        wanted = parse_mount(options)
        if wanted is None or self._is_mounted(name):
            return
        try:
            mount.mount(wanted.device, self.path(name), wanted.kind, wanted.flags, wanted.data)
        except OSError as exc:
            raise failure(wanted, self.path(name), (exc.strerror or "").lower()) from exc

    def unmount(self, name: str) -> None:
        """Take the mount away; containers that still have it keep it until they end. Idempotent."""
        if self._is_mounted(name):
            mount.umount(self.path(name), mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)

    def _is_mounted(self, name: str) -> bool:
        # Not by st_dev: a bind may be of the same file system, and a dead server must not be asked.
        return any(entry.mount_point == self.path(name) for entry in mountinfo.read())

    def fill(self, name: str, write: Callable[[int], bool], *, durable: bool) -> None:
        """Give an empty volume the content that ``write`` makes in the directory of the descriptor it gets.

        All or nothing, also when the machine stops in between: the content is made beside the volume's directory and
        takes its place in one step. ``write`` answers False when it has nothing.
        """
        parent = os.open(f"{self.root}/{name}", _DIRECTORY)
        try:
            remove_tree(parent, _FILLING.encode())  # what a crash left
            os.mkdir(_FILLING, 0o755, dir_fd=parent)
            made = os.open(_FILLING, _DIRECTORY, dir_fd=parent)
            try:
                written = write(made)
                if written and durable:
                    syncfs(made)
            finally:
                os.close(made)
            if written:
                renameat2(parent, _FILLING, parent, _CONTENT, RENAME_EXCHANGE)
            try:
                os.rmdir(_FILLING, dir_fd=parent)
            except OSError as exc:
                if not written or exc.errno != errno.ENOTEMPTY:
                    raise
                # Somebody wrote into the directory by hand meanwhile: theirs stays.
                renameat2(parent, _FILLING, parent, _CONTENT, RENAME_EXCHANGE)
            remove_tree(parent, _FILLING.encode())
            os.fsync(parent)
        finally:
            os.close(parent)

    def discard(self, name: str) -> str | None:
        """Move a volume's directory out of sight, atomically and durably; the path to hand to ``sweep``.

        A mount on it goes first: the sweep deletes what is in the directory, never what is in the mount.
        """
        self.unmount(name)
        target = f"{self._trash}/{secrets.token_hex(8)}"
        try:
            os.rename(f"{self.root}/{name}", target)
        except FileNotFoundError:
            return None  # somebody removed it by hand
        sync_directory(self.root)
        return target

    def bring_back(self, name: str, discarded: str) -> None:
        """Undo ``discard``."""
        os.rename(discarded, f"{self.root}/{name}")

    def names(self) -> set[str]:
        """The volumes that have a directory."""
        return {name for name in os.listdir(self.root) if not name.startswith(".")}

    def remove_empty(self, name: str) -> bool:
        """Remove a volume's directory if there is nothing in it; whether it was so."""
        try:
            if os.path.isdir(self.path(name)):
                os.rmdir(self.path(name))
            parent = os.open(f"{self.root}/{name}", _DIRECTORY)
            try:
                remove_tree(parent, _FILLING.encode())
            finally:
                os.close(parent)
            os.rmdir(f"{self.root}/{name}")
        except OSError as exc:
            if exc.errno not in (errno.ENOTEMPTY, errno.ENOTDIR):
                raise
            return False
        return True

    def sweep(self, path: str) -> None:
        """Delete a discarded directory, however deep a container made it; nothing is followed, no mount entered."""
        parent, _, name = path.rpartition("/")
        fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(fd, os.fsencode(name))
        finally:
            os.close(fd)

    def leftovers(self) -> list[str]:
        """Discarded directories that a crash left."""
        return [f"{self._trash}/{name}" for name in os.listdir(self._trash)]

    def size_bytes(self, name: str) -> int:
        """Disk use of a volume's files, each inode once."""
        fd = os.open(self.path(name), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return measure(fd).size_bytes
        finally:
            os.close(fd)

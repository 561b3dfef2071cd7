"""The local driver: a directory per volume, and for volumes with mount options a mount on it while it is used.

<data_root>/volumes/                   0711
<data_root>/volumes/<name>/_data       what containers see; its owner and mode are the content's
<data_root>/volumes/.trash/            directories on their way out
"""

import errno
import os
import secrets
from collections.abc import Mapping

from wherry.errors import InvalidParameter, System
from wherry.linux import mount, mountinfo
from wherry.linux.filesystem import sync_directory
from wherry.snapshots.remove_tree import remove_tree
from wherry.snapshots.usage import measure

DRIVER = "local"
_OPTIONS = ("type", "device", "o", "size")


def check_options(options: Mapping[str, str]) -> None:
    """Docker's rules for ``--opt``: known keys only, type and device together."""
    for key in options:
        if key not in _OPTIONS:
            raise InvalidParameter(f'create volume: invalid option: "{key}"')
    if options.get("size"):
        raise InvalidParameter("create volume: quota size requested but no quota support")
    for key, needs in (("device", "type"), ("o", "device")):
        if options.get(key) and not options.get(needs) and not (key == "o" and options.get("type")):
            raise InvalidParameter(f"create volume: missing required option: {needs}")


_FLAGS = {
    "ro": mount.MS_RDONLY, "nosuid": mount.MS_NOSUID, "nodev": mount.MS_NODEV, "noexec": mount.MS_NOEXEC,
    "sync": mount.MS_SYNCHRONOUS, "dirsync": mount.MS_DIRSYNC, "noatime": mount.MS_NOATIME,
    "nodiratime": mount.MS_NODIRATIME, "relatime": mount.MS_RELATIME, "strictatime": mount.MS_STRICTATIME,
    "bind": mount.MS_BIND, "rbind": mount.MS_BIND | mount.MS_REC,
}  # fmt: skip
_NO_FLAG = ("defaults", "rw", "suid", "dev", "exec", "async")


def mount_flags(options: str) -> tuple[int, str]:
    """The ``o`` of a volume, mount(8) style, as mount(2)'s flags and data."""
    flags, data = 0, []
    for word in filter(None, options.split(",")):
        if word in _FLAGS:
            flags |= _FLAGS[word]
        elif word not in _NO_FLAG:
            data.append(word)
    return flags, ",".join(data)


class LocalDriver:
    """Directories below one root. Callers hold the volume name's lock."""

    def __init__(self, data_root: str) -> None:
        self.root = f"{data_root}/volumes"
        self._trash = f"{self.root}/.trash"
        os.makedirs(self._trash, mode=0o700, exist_ok=True)
        os.chmod(self.root, 0o711)

    def path(self, name: str) -> str:
        """The mount point of a volume."""
        return f"{self.root}/{name}/_data"

    def create(self, name: str) -> str:
        """Make the directory; it is durable on return. One left by a crash is taken over."""
        os.makedirs(self.path(name), mode=0o755, exist_ok=True)
        os.chmod(f"{self.root}/{name}", 0o711)
        sync_directory(self.root)
        return self.path(name)

    def mount(self, name: str, options: Mapping[str, str]) -> None:
        """Mount what the options say (``type``, ``device``, ``o``) on the volume's directory. Idempotent."""
        if not options.get("type") or self._is_mounted(name):
            return
        flags, data = mount_flags(options.get("o", ""))
        device, kind = options.get("device", ""), options["type"]
        try:
            mount.mount(device, self.path(name), kind, flags, data)
        except OSError as exc:
            raise System(
                f"error while mounting volume '{self.path(name)}': failed to mount local volume: mount {device}:"
                f"{self.path(name)}, flags: {flags:#x}, data: {data}: {(exc.strerror or '').lower()}"
            ) from exc

    def unmount(self, name: str) -> None:
        """Take the mount away; containers that still have it keep it until they end. Idempotent."""
        if self._is_mounted(name):
            mount.umount(self.path(name), mount.MNT_DETACH | mount.UMOUNT_NOFOLLOW)

    def _is_mounted(self, name: str) -> bool:
        return os.stat(self.path(name)).st_dev != os.stat(f"{self.root}/{name}").st_dev or any(
            entry.mount_point == self.path(name) for entry in mountinfo.read()
        )

    def discard(self, name: str) -> str | None:
        """Move a volume's directory out of sight, atomically and durably; the path to hand to ``sweep``."""
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

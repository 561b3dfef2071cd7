"""The local driver: a directory per volume, and for volumes with mount options a mount on it while it is used.

<data_root>/volumes/                   0711
<data_root>/volumes/<name>/_data       what containers see; its owner and mode are the content's
<data_root>/volumes/.trash/            directories on their way out
"""

import os
import secrets
import shutil
from collections.abc import Mapping

from wherry.errors import InvalidParameter
from wherry.linux.filesystem import sync_directory

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

    def discard(self, name: str) -> str | None:
        """Move a volume's directory out of sight, atomically; the path to hand to ``sweep``."""
        target = f"{self._trash}/{secrets.token_hex(8)}"
        try:
            os.rename(f"{self.root}/{name}", target)
        except FileNotFoundError:
            return None  # a crash came between the rename and the row: the work is done already
        return target

    def sweep(self, path: str) -> None:
        """Delete a discarded directory; links are not followed (rmtree works by descriptors)."""
        shutil.rmtree(path, ignore_errors=False)

    def leftovers(self) -> list[str]:
        """Discarded directories that a crash left."""
        return [f"{self._trash}/{name}" for name in os.listdir(self._trash)]

    def size_bytes(self, name: str) -> int:
        """Disk use of a volume's files, each inode once."""
        total, seen = 0, set[tuple[int, int]]()
        for _, directories, files, directory_fd in os.fwalk(self.path(name), follow_symlinks=False):
            for entry in (*directories, *files):
                try:
                    found = os.stat(entry, dir_fd=directory_fd, follow_symlinks=False)
                except FileNotFoundError:
                    continue  # deleted by a container while we count
                if (found.st_dev, found.st_ino) not in seen:
                    seen.add((found.st_dev, found.st_ino))
                    total += found.st_size
        return total

"""The init layer: a read-only layer on top of every image, so that the runtime's mount points are what they seem.

It brings /dev, /dev/pts, /dev/shm, /dev/console, /proc, /sys, /etc/{hosts,hostname,resolv.conf,mtab} and /.dockerenv
as ordinary directories and empty files. An image whose /dev or /proc is a symlink is thereby harmless (S36, S37), and
no mount point needs to be made in the container's own layer. The list is Docker's (moby daemon/initlayer).

``<snapshots>/init/<mode>-<uid>-<gid>/``: one tree per owner and mode of /etc, because overlayfs takes a merged
directory's metadata from the topmost layer: the image's /etc must keep its own.
"""

import os
import secrets
import stat

from wherry.linux.filesystem import sync_directory
from wherry.snapshots.remove_tree import remove_tree

_DIRECTORIES = ("dev", "dev/pts", "dev/shm", "etc", "proc", "sys")
_FILES = ("dev/console", "etc/hosts", "etc/hostname", "etc/resolv.conf", ".dockerenv")
_LINKS = {"etc/mtab": "/proc/mounts"}


class InitLayers:
    """The init layers below one directory, made on demand."""

    def __init__(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._path = path
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in os.listdir(fd):
                if name.startswith("."):  # being made when the engine died
                    remove_tree(fd, name.encode())
        finally:
            os.close(fd)

    def name_for(self, etc: os.stat_result | None) -> str:
        """The init layer that fits an image whose /etc has this status (None: it has no such directory)."""
        if etc is None or not stat.S_ISDIR(etc.st_mode):
            return "0755-0-0"
        return f"{stat.S_IMODE(etc.st_mode):04o}-{etc.st_uid}-{etc.st_gid}"

    def ensure(self, name: str) -> str:
        """The path of the init layer ``name``; it is made when it is not there."""
        path = f"{self._path}/{name}"
        if not os.path.isdir(path):
            self._make(name)
        return path

    def _make(self, name: str) -> None:
        mode, uid, gid = name.split("-")
        parent = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        temporary = f".{secrets.token_hex(8)}"
        try:
            root = f"{self._path}/{temporary}"
            os.mkdir(root)
            os.chmod(root, 0o755)
            for directory in _DIRECTORIES:
                os.mkdir(f"{root}/{directory}")
                os.chmod(f"{root}/{directory}", 0o755)
            for file in _FILES:
                os.close(os.open(f"{root}/{file}", os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))
                os.chmod(
                    f"{root}/{file}", 0o600 if file == "dev/console" else 0o755 if file == ".dockerenv" else 0o644
                )
            for link, target in _LINKS.items():
                os.symlink(target, f"{root}/{link}")
            os.chown(f"{root}/etc", int(uid), int(gid))
            os.chmod(f"{root}/etc", int(mode, 8))
            try:
                os.rename(root, f"{self._path}/{name}")
            except OSError:
                if not os.path.isdir(f"{self._path}/{name}"):
                    raise
            sync_directory(self._path)
        finally:
            remove_tree(parent, temporary.encode())
            os.close(parent)

"""/etc/passwd and /etc/group of a container, read by the engine without entering it (S27, S58).

Resolved inside the root by openat2, opened only when regular, and read up to a cap. For a container whose
writable layer has no /etc the image's files count, and those are remembered by chain id.
"""

import errno
import os
import threading
from collections import OrderedDict

from wherry.errors import InvalidParameter
from wherry.linux.filesystem import open_regular_in_root

MAX_BYTES = 4 << 20
_REMEMBERED_IMAGES = 64


class AccountFiles:
    """Both files of one root as they were at one moment."""

    __slots__ = ("_group", "_passwd")

    def __init__(self, passwd: "bytes | OSError", group: "bytes | OSError") -> None:
        self._passwd = passwd
        self._group = group

    @classmethod
    def read(cls, root_fd: int) -> "AccountFiles":
        """Read both from a root directory; what cannot be read is only an error when it is needed."""
        return cls(_read(root_fd, "etc/passwd"), _read(root_fd, "etc/group"))

    def passwd(self, *, needed: bool) -> bytes:
        """The content of /etc/passwd; with ``needed`` an unreadable one raises InvalidParameter."""
        return _content(self._passwd, "/etc/passwd", needed=needed)

    def group(self, *, needed: bool) -> bytes:
        """The content of /etc/group; as ``passwd``."""
        return _content(self._group, "/etc/group", needed=needed)


def _read(root_fd: int, path: str) -> bytes | OSError:
    try:
        fd = open_regular_in_root(root_fd, path)
    except OSError as exc:
        return exc
    try:
        data = bytearray()
        while chunk := os.read(fd, MAX_BYTES + 1 - len(data)):
            data += chunk
            if len(data) > MAX_BYTES:
                return OSError(errno.EFBIG, f"larger than {MAX_BYTES >> 20} MiB")
        return bytes(data)
    except OSError as exc:
        return exc
    finally:
        os.close(fd)


def _content(found: bytes | OSError, path: str, *, needed: bool) -> bytes:
    if isinstance(found, bytes):
        return found
    if needed and found.errno not in (errno.ENOENT, errno.ENOTDIR):
        raise InvalidParameter(f"read {path} of the container: {found.strerror}")
    return b""


class AccountFilesCache:
    """Image files by chain id, the latest ones kept. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: OrderedDict[str, AccountFiles] = OrderedDict()

    def get(self, chain_id: str) -> AccountFiles | None:
        """What was remembered of an image."""
        with self._lock:
            found = self._entries.get(chain_id)
            if found is not None:
                self._entries.move_to_end(chain_id)
            return found

    def put(self, chain_id: str, files: AccountFiles) -> None:
        """Remember an image's files."""
        with self._lock:
            self._entries[chain_id] = files
            while len(self._entries) > _REMEMBERED_IMAGES:
                self._entries.popitem(last=False)

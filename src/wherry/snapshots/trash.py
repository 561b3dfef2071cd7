"""Removal off the critical path: a rename now, the deletion in a background thread.

``<root>/trash/<random>``: whole trees that nobody refers to any more. A crash loses nothing: what lies here at the
start is deleted then. The rename is the removal; there is nothing to undo.
"""

import os
import queue
import secrets
import threading

from wherry.log import get_logger
from wherry.snapshots.remove_tree import remove_tree

logger = get_logger(__name__)


class Trash:
    """Owns one directory on the file system of what it takes."""

    def __init__(self, path: str) -> None:
        os.makedirs(path, mode=0o700, exist_ok=True)
        self._path = path
        self._fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._queue: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False
        leftovers = os.listdir(self._fd)
        for name in leftovers:
            self._delete_later(os.fsencode(name))

    def take(self, path: str) -> bool:
        """Move ``path`` here and forget it; False when there was nothing."""
        name = secrets.token_hex(8)
        try:
            os.rename(path, name, dst_dir_fd=self._fd)
        except FileNotFoundError:
            return False
        self._delete_later(name.encode())
        return True

    def close(self) -> None:
        """Finish the tree being deleted and stop; the rest waits for the next start."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._queue.put(None)
            thread.join()
        os.close(self._fd)

    def wait(self) -> None:
        """Return when everything taken so far is deleted or given up."""
        with self._lock:
            thread = self._thread
            if thread is None:
                return
            self._thread = None
            self._queue.put(None)
        thread.join()

    def _delete_later(self, name: bytes) -> None:
        with self._lock:
            self._queue.put(name)
            if self._thread is None and not self._closed:
                self._thread = threading.Thread(target=self._run, name="snapshots-trash", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while (name := self._queue.get()) is not None:
            if self._closed:
                continue
            try:
                remove_tree(self._fd, name)
            except OSError as exc:
                # An immutable file, a failing disk: the tree is out of the way and is tried again at the next start.
                logger.warning("delete %s/%s: %s", self._path, os.fsdecode(name), exc)

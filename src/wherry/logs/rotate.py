"""A file that is replaced when it is full: ``path`` is the newest, ``path.1`` the one before, up to ``max_files``.

Readers follow a rotation by inode (``reader.py``), so files are only ever renamed, appended to and unlinked; the
single exception is ``max_files`` 1, where Docker truncates.
"""

import os


class RotatingFile:
    """Appends whole records. ``max_size_bytes`` -1 is no limit."""

    def __init__(self, path: str, *, max_size_bytes: int, max_files: int) -> None:
        self._path = path
        self._max_size = max_size_bytes
        self._max_files = max(1, max_files)
        self._fd = _open(path)
        self._size = os.fstat(self._fd).st_size

    def write(self, records: bytes, *, separator: bytes = b"\n") -> None:
        """Append ``records``, each of which ends with ``separator``; a batch that crosses the limit is divided
        after the record that crosses it, as Docker does (the file ends up over the limit by less than a record).
        An empty separator keeps the batch in one piece. Raises OSError; a part that was written is taken back."""
        while self._max_size > 0 and self._size + len(records) > self._max_size:
            cut = 0
            if separator and self._size < self._max_size:
                cut = records.find(separator, self._max_size - self._size - 1) + 1
            elif not separator and self._size == 0:
                break
            if cut:
                self._append(records[:cut])
                records = records[cut:]
            if not records:
                return
            self._rotate()
        self._append(records)

    def _append(self, data: bytes) -> None:
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError:
            if len(view) < len(data):
                os.ftruncate(self._fd, self._size)
            raise
        self._size += len(data)

    def _rotate(self) -> None:
        if self._max_files == 1:
            os.ftruncate(self._fd, 0)
        else:
            # The new file exists before anything moves: a full disk must not shift the old ones at every try.
            replacement = _open(f"{self._path}.new")
            for number in range(self._max_files - 1, 0, -1):
                older = f"{self._path}.{number}"
                newer = f"{self._path}.{number - 1}" if number > 1 else self._path
                try:
                    os.rename(newer, older)
                except FileNotFoundError:
                    continue  # not that many files yet
            os.rename(f"{self._path}.new", self._path)
            os.close(self._fd)
            self._fd = replacement
        self._size = 0

    def close(self) -> None:
        """Close the file; idempotent."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW, 0o640)

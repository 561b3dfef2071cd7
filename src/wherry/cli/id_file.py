"""``--cidfile``: a new file for the id, there before the container is, and gone again if none is made."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class IdFile:
    """A context around the creation. Raises ValueError for a file that exists or cannot be made; "" is no file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._written = False
        if not path:
            return
        try:
            self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            raise ValueError(
                f"container ID file found, make sure the other container isn't running or delete {self._path}"
            ) from None
        except OSError as exc:
            reason = (exc.strerror or "").lower()
            raise ValueError(f"failed to create the container ID file: open {self._path}: {reason}") from exc

    def __enter__(self) -> "IdFile":
        return self

    def write(self, container_id: str) -> None:
        """Without a newline, as Docker writes it."""
        if self._fd >= 0:
            os.write(self._fd, container_id.encode())
            self._written = True

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            if not self._written:
                os.unlink(self._path)

"""The user's own terminal: raw mode that is always undone, and its size."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any


class RawMode:
    """Puts a terminal into raw mode as a context manager; a descriptor that is none is left alone."""

    __slots__ = ("_descriptor", "_saved")

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._saved: list[Any] | None = None

    def __enter__(self) -> "RawMode":
        if os.isatty(self._descriptor):
            from wherry.linux import terminal  # start-up cost: only with a terminal

            self._saved = terminal.set_raw(self._descriptor)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self.restore()

    def restore(self) -> None:
        """Back to the mode before; a second call does nothing."""
        saved, self._saved = self._saved, None
        if saved is not None:
            from wherry.linux import terminal

            terminal.restore(self._descriptor, saved)


def terminal_size(descriptor: int = 1) -> tuple[int, int] | None:
    """(height, width), or None without a terminal."""
    try:
        size = os.get_terminal_size(descriptor)
    except OSError:
        return None
    return (size.lines, size.columns) if size.lines and size.columns else None

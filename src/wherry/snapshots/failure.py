"""The border to the kernel: its errors become the snapshotter's."""

from collections.abc import Iterator
from contextlib import contextmanager

from wherry.snapshots.snapshotter import SnapshotFailed


@contextmanager
def storing(action: str) -> Iterator[None]:
    """An OSError inside becomes SnapshotFailed: ``<action>: <cause>``."""
    try:
        yield
    except OSError as exc:
        raise SnapshotFailed(f"{action}: {exc.strerror}") from exc

"""Read a container's log back: the last n lines, a time window, following across rotations.

The engine reads while the monitor writes; nothing is locked. A file is followed by its inode: after a rotation
the reader finishes the file that it holds, finds it under its new name (``log.2``) and goes on with the next
newer one (``log.1``), so that nothing is lost or doubled however often the log was rotated meanwhile (R12).
"""

import os
import select
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from wherry.errors import Unimplemented
from wherry.linux.inotify import (
    IN_CREATE,
    IN_DELETE_SELF,
    IN_MODIFY,
    IN_MOVED_TO,
    add_watch,
    inotify_init,
    read_events,
)
from wherry.logs.decode import Decoder, decoder
from wherry.logs.entry import Entry
from wherry.logs.options import READABLE_DRIVERS

_READ_BYTES = 1 << 20
_POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class LogQuery:
    """``tail`` None: everything; times are nanoseconds since the epoch, both inclusive; None: unbounded."""

    tail: int | None = None
    since_ns: int | None = None
    until_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Follow:
    """``ended``: the container is over and its log complete. ``cancelled``: the client went away. Both are asked
    whenever something happens and at least twice a second; readiness of ``wake_fds`` (non-blocking eventfds, which
    the reader empties) asks them at once."""

    ended: Callable[[], bool]
    cancelled: Callable[[], bool]
    wake_fds: Sequence[int] = ()


def check_readable(driver: str) -> None:
    """Raises Unimplemented for a driver that cannot be read."""
    if driver not in READABLE_DRIVERS:
        raise Unimplemented("configured logging driver does not support reading")


def read_log(driver: str, path: str, query: LogQuery, follow: Follow | None = None) -> Iterator[Entry]:
    """The entries that ``query`` chooses, oldest first; with ``follow`` it waits for more until the end.

    Raises Unimplemented for a driver that cannot be read. Closing the iterator closes every descriptor (R28).
    """
    check_readable(driver)
    return _Reader(path, decoder(driver), query).run(follow)


def _empty(eventfd: int) -> None:
    try:
        os.eventfd_read(eventfd)
    except BlockingIOError:
        pass  # nobody wrote


class _Reader:
    def __init__(self, path: str, decode: Decoder, query: LogQuery) -> None:
        self._path = path
        self._decoder = decode
        self._query = query
        self._fd = -1
        self._inode = 0
        self._rest = b""
        self._finished = False

    def run(self, follow: Follow | None) -> Iterator[Entry]:
        inotify = -1
        try:
            if follow is not None:
                # Watched before the first read: what is written in between wakes us.
                inotify = inotify_init()
                try:
                    add_watch(
                        inotify, os.path.dirname(self._path), IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF
                    )
                except FileNotFoundError:
                    pass  # removed with its container just now: nothing will be written any more
            yield from self._stored()
            if follow is not None:
                yield from self._follow(follow, inotify)
        finally:
            if self._fd >= 0:
                os.close(self._fd)
            if inotify >= 0:
                os.close(inotify)

    def _stored(self) -> Iterator[Entry]:
        """What is there now; leaves the newest file open at its end."""
        self._open_oldest(self._query.tail)
        while self._fd >= 0 and not self._finished:
            yield from self._drain()
            if not self._next_file():
                return

    def _follow(self, follow: Follow, inotify: int) -> Iterator[Entry]:
        poll = select.poll()
        for fd in (inotify, *follow.wake_fds):
            poll.register(fd, select.POLLIN | select.POLLRDHUP)
        while not self._finished and not follow.cancelled():
            ended = follow.ended()  # asked before the read: what was logged before the end is then seen
            if self._fd < 0:
                self._open_oldest(None)
            if self._fd >= 0:
                yield from self._drain()
                while self._next_file():
                    yield from self._drain()
            if ended:
                return
            poll.poll(_POLL_SECONDS * 1000)
            for _ in read_events(inotify):
                pass  # only the wake-up counts
            for fd in follow.wake_fds:
                _empty(fd)

    def _drain(self) -> Iterator[Entry]:
        """Read the open file to its end."""
        while not self._finished:
            block = os.read(self._fd, _READ_BYTES)
            if not block:
                # max-file=1 truncates: begin again.
                if os.fstat(self._fd).st_size < os.lseek(self._fd, 0, os.SEEK_CUR):
                    os.lseek(self._fd, 0, os.SEEK_SET)
                    self._rest = b""
                    continue
                return
            data = self._rest + block if self._rest else block
            entries, used = self._decoder.entries(data)
            self._rest = data[used:]
            yield from self._select(entries)

    def _select(self, entries: list[Entry]) -> Iterator[Entry]:
        since, until = self._query.since_ns, self._query.until_ns
        if since is None and until is None:
            yield from entries
            return
        for entry in entries:
            time_ns = entry.time_ns
            if until is not None and time_ns > until:
                self._finished = True
                return
            if since is None or time_ns >= since:
                yield entry

    def _names(self) -> list[str]:
        """The log's files, newest first."""
        directory, base = os.path.split(self._path)
        try:
            found = os.listdir(directory)
        except FileNotFoundError:
            return [self._path]  # removed with its container while we read; what is open can still be read
        suffixes = [name[len(base) + 1 :] for name in found if name.startswith(base + ".")]
        numbers = sorted(int(suffix) for suffix in suffixes if suffix.isdigit())
        return [self._path, *(f"{self._path}.{number}" for number in numbers)]

    def _open(self, name: str, *, behind: str | None = None) -> bool:
        """Open ``name``. With ``behind`` only if ours still has that name afterwards: a rotation renames the older
        file first, so ``name`` then was the next newer one indeed."""
        try:
            fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return False  # not written yet, or rotated away under our eyes
        if behind is not None and not self._is_ours(behind):
            os.close(fd)
            return False
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = fd
        self._inode = os.fstat(fd).st_ino
        self._rest = b""
        return True

    def _open_oldest(self, tail: int | None) -> None:
        """Open the file in which reading begins: the oldest, or the one that holds the n-th last record."""
        wanted = tail
        for name in self._names() if tail is not None else reversed(self._names()):
            if not self._open(name):
                continue
            if wanted is None:
                return
            offset, count = self._decoder.tail_offset(self._fd, os.fstat(self._fd).st_size, wanted)
            os.lseek(self._fd, offset, os.SEEK_SET)
            wanted -= count
            if wanted <= 0:
                return

    def _next_file(self) -> bool:
        """After the end of a file: open the next newer one. False when this is the newest, or a rotation is on its
        way (the next look sees it whole)."""
        names = self._names()
        ours = next((name for name in names if self._is_ours(name)), None)
        unlinked = os.fstat(self._fd).st_nlink == 0
        if ours == self._path or (ours is None and not unlinked):
            return False
        if os.fstat(self._fd).st_size > os.lseek(self._fd, 0, os.SEEK_CUR):
            return True  # written between our last read and the rotation; from now on it does not grow
        if ours is None:
            return self._open(names[-1])  # rotated out altogether while we read it: the oldest left follows it
        return self._open(names[names.index(ours) - 1], behind=ours)

    def _is_ours(self, name: str) -> bool:
        try:
            return os.stat(name, follow_symlinks=False).st_ino == self._inode
        except FileNotFoundError:
            return False  # between two renames of a rotation

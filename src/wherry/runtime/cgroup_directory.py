"""One directory of a cgroup file system: its files by name, its processes, its removal."""

from __future__ import annotations

import errno
import os
import time

from wherry.errors import System
from wherry.record import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_READ_SIZE = 65536


class CgroupFailure(System):
    """The kernel refused something, or a controller is missing."""


class CgroupDirectory:
    """A cgroup's directory. Its files are reached through a descriptor that is held open."""

    __slots__ = ("fd", "location")

    def __init__(self, location: str) -> None:
        """Raises FileNotFoundError when the cgroup does not exist."""
        self.location = location
        self.fd = os.open(location, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the descriptor. Idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def open(self, name: str, flags: int = os.O_RDONLY) -> int:
        """Open one of the cgroup's files; the caller closes. Raises OSError."""
        return os.open(name, flags | os.O_CLOEXEC, dir_fd=self.fd)

    def write(self, name: str, value: str | int) -> None:
        """Write a value in one write(2), as the kernel wants it. Raises CgroupFailure."""
        try:
            self.write_raw(name, value)
        except OSError as exc:
            raise self.failure(f"write {str(value)!r} to {name}", exc) from exc

    def write_each(self, name: str, lines: Iterable[str]) -> None:
        """Write several values, each by one write(2), to a file that is opened once. Raises CgroupFailure."""
        line = ""
        try:
            fd = os.open(name, os.O_WRONLY | os.O_CLOEXEC, dir_fd=self.fd)
            try:
                for line in lines:
                    os.write(fd, line.encode())
            finally:
                os.close(fd)
        except OSError as exc:
            raise self.failure(f"write {line!r} to {name}", exc) from exc

    def write_raw(self, name: str, value: str | int) -> None:
        """The same, but raises OSError, for callers that have another way to try."""
        fd = os.open(name, os.O_WRONLY | os.O_TRUNC | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            os.write(fd, str(value).encode())
        finally:
            os.close(fd)

    def read(self, name: str) -> str:
        """A file's text. Raises OSError."""
        fd = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.fd)
        try:
            chunks = []
            while chunk := os.read(fd, _READ_SIZE):
                chunks.append(chunk)
            return b"".join(chunks).decode()
        finally:
            os.close(fd)

    def counter(self, name: str, key: str) -> int:
        """The value behind ``key`` in a file of ``key value`` lines; 0 where there is none, or no cgroup any more."""
        try:
            text = self.read(name)
        except OSError as exc:
            if exc.errno in (errno.ENOENT, errno.ENODEV):
                return 0
            raise
        return next((int(words[1]) for words in map(str.split, text.splitlines()) if words[:1] == [key]), 0)

    def exists(self, name: str) -> bool:
        """Whether this cgroup has the file (the controller's feature)."""
        return os.access(name, os.F_OK, dir_fd=self.fd)

    def failure(self, action: str, exc: OSError) -> CgroupFailure:
        """An error that names this cgroup."""
        return CgroupFailure(f"{action} in cgroup {self.location}: {exc.strerror}")

    def pids(self, *, everything: bool) -> list[int]:
        """The processes in this cgroup, with ``everything`` in the cgroups below it too. Gone is empty."""
        found = []
        for location in self._below() if everything else (self.location,):
            try:
                with open(f"{location}/cgroup.procs", "rb") as file:
                    found += [int(line) for line in file]
            except OSError as exc:
                # ENODEV: removed while open. EOPNOTSUPP: a threaded cgroup; its processes show in the domain above.
                if exc.errno not in (errno.ENOENT, errno.ENODEV, errno.EOPNOTSUPP):
                    raise
        return found

    def remove(self, *, timeout_seconds: float) -> None:
        """Remove the cgroup and those below it. Raises CgroupFailure when it stays busy. Idempotent.

        A process that has just died keeps its cgroup busy for an instant.
        """
        deadline = time.monotonic() + timeout_seconds
        delay = 0.0002
        while True:
            try:
                os.rmdir(self.location)
                return
            except FileNotFoundError:
                return
            except OSError as exc:
                if exc.errno not in (errno.EBUSY, errno.ENOTEMPTY):
                    raise self.failure("remove", exc) from exc
                if time.monotonic() > deadline:
                    pids = self.pids(everything=True)
                    raise CgroupFailure(
                        f"remove cgroup {self.location}: still used by {len(pids)} process(es)"
                    ) from exc
            for location in reversed(list(self._below())[1:]):
                try:
                    os.rmdir(location)
                except OSError:
                    pass  # busy like its parent, or gone: the next round tells
            time.sleep(delay)
            delay = min(delay * 2, 0.05)

    def _below(self) -> Iterator[str]:
        """This directory and all under it, parents first. What vanishes meanwhile is left out."""
        waiting = [self.location]
        while waiting:
            location = waiting.pop()
            yield location
            try:
                with os.scandir(location) as entries:
                    waiting += [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
            except FileNotFoundError:
                pass  # removed since it was listed


def make_directory(location: str, mount_point: str) -> bool:
    """Make a cgroup and its parents; whether it is new (else it is taken as it is). Raises CgroupFailure."""
    try:
        os.mkdir(location, 0o755)
    except FileExistsError:
        return False
    except FileNotFoundError:
        parent = os.path.dirname(location)
        if len(parent) < len(mount_point):
            raise CgroupFailure(f"create cgroup {location}: {mount_point} is not mounted") from None
        make_directory(parent, mount_point)
        return make_directory(location, mount_point)
    except OSError as exc:
        raise CgroupFailure(f"create cgroup {location}: {exc.strerror}") from exc
    return True

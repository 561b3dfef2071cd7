"""Writing one blob: temporary file → size and digest → fsync → rename → fsync of the directory.

An interrupted ingest of a known digest may be kept and resumed (R21). Its old bytes are hashed again before
new ones are added, so a torn or tampered partial file ends as a mismatch and is thrown away.

While it is written, readers may follow: :meth:`Ingest.follow` gives a stream that ends only when the whole
blob has been verified, and raises when it was not. So unpacking can overlap the download.
"""

import errno
import io
import os
import threading
from collections.abc import Callable
from typing import Final

from wherry.content.errors import ContentMismatch, StorageFault
from wherry.linux.filesystem import sync_directory
from wherry.oci.digest import Digest, Hasher, algorithm

CHUNK_BYTES: Final = 1 << 20
_CHECK_SECONDS: Final = 0.25


class Ingest:
    """A blob on its way in. Written by one thread, followed by any number. Exactly one of ``commit``,
    ``suspend`` or ``abort`` ends it; as a context manager it aborts unless one of them was called."""

    def __init__(
        self,
        path: str,
        expected: Digest | None,
        size_bytes: int | None,
        publish: Callable[[str, Digest], None],
        closed: Callable[[], None],
    ) -> None:
        self._path = path
        self._expected = expected
        self._size_bytes = size_bytes
        self._publish = publish
        self._closed = closed
        self._hasher = Hasher(algorithm(expected) if expected else "sha256")
        self._condition = threading.Condition()
        self._written = 0
        self._verified = False
        self._failure: BaseException | None = None
        self._ended = False
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as exc:
            closed()
            raise _fault(expected, exc) from exc
        try:
            self._rehash()
        except BaseException:
            self.abort()
            raise

    @property
    def written_bytes(self) -> int:
        """How much is here, the resumed part included."""
        return self._written

    def write(self, chunk: bytes | bytearray | memoryview) -> None:
        """Append. Raises ContentMismatch when more comes than was promised, StorageFault when the disk fails."""
        if self._size_bytes is not None and self._written + len(chunk) > self._size_bytes:
            raise ContentMismatch(f"blob {self._expected} is longer than its {self._size_bytes} bytes")
        view = memoryview(chunk)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as exc:
            raise _fault(self._expected, exc) from exc
        self._hasher.update(chunk)
        with self._condition:
            self._written += len(chunk)
            self._condition.notify_all()

    def verify(self) -> Digest:
        """Check size and digest, and let the followers see the end. Raises ContentMismatch."""
        if self._size_bytes is not None and self._written != self._size_bytes:
            raise ContentMismatch(f"blob {self._expected} has {self._written} bytes, not {self._size_bytes}")
        found = self._hasher.digest()
        if self._expected is not None and found != self._expected:
            raise ContentMismatch(f"blob {self._expected} has another content: {found}")
        with self._condition:
            self._verified = True
            self._condition.notify_all()
        return found

    def commit(self) -> Digest:
        """Verify, make durable and visible. Any failure removes the partial file."""
        try:
            found = self.verify()
            try:
                os.fsync(self._fd)
                self._publish(self._path, found)
                sync_directory(os.path.dirname(self._path))
            except OSError as exc:
                raise _fault(self._expected, exc) from exc
        except BaseException as exc:
            self.abort(exc)
            raise
        self._end(None)
        return found

    def suspend(self, cause: BaseException | None = None) -> None:
        """Stop, keeping what was written for a later resume."""
        if not self._ended:
            self._end(cause or InterruptedError("ingest suspended"))

    def abort(self, cause: BaseException | None = None) -> None:
        """Stop and give the space back. Idempotent."""
        if self._ended:
            return
        try:
            os.unlink(self._path)
        except FileNotFoundError:
            pass  # commit had renamed it before a later step failed; the store drops it then
        self._end(cause or InterruptedError("ingest aborted"))

    def follow(self, check: Callable[[], None] = lambda: None) -> "FollowingReader | None":
        """A reader from the first byte; close it. While it waits it calls ``check``, which may raise.

        None when the ingest has ended: read the blob from the store, if it was committed.
        """
        with self._condition:
            return None if self._ended else FollowingReader(self, os.dup(self._fd), check)

    def wait_for(self, offset: int, check: Callable[[], None]) -> int:
        """Block until more than ``offset`` bytes are here or the blob is verified; how many are here.

        Raises what ended the ingest when it failed.
        """
        with self._condition:
            while not (self._written > offset or self._verified or self._failure is not None):
                check()
                self._condition.wait(_CHECK_SECONDS)
            if self._failure is not None:
                raise self._failure
            return self._written

    def _rehash(self) -> None:
        if self._size_bytes is not None and os.fstat(self._fd).st_size > self._size_bytes:
            os.ftruncate(self._fd, 0)
        while chunk := os.read(self._fd, CHUNK_BYTES):
            self._hasher.update(chunk)
            self._written += len(chunk)

    def _end(self, failure: BaseException | None) -> None:
        with self._condition:
            self._ended = True
            os.close(self._fd)
            self._failure = failure
            self._condition.notify_all()
        self._closed()

    def __enter__(self) -> "Ingest":
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()


class FollowingReader(io.RawIOBase):
    """Reads an ingest while it is written. The end of the stream means: verified."""

    def __init__(self, ingest: Ingest, fd: int, check: Callable[[], None]) -> None:
        self._ingest = ingest
        self._check = check
        self._fd = fd
        self._offset = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fill some of ``buffer``; 0 at the verified end. Raises what ended a failed ingest."""
        available = self._ingest.wait_for(self._offset, self._check) - self._offset
        view = memoryview(buffer).cast("B")[: max(available, 0)]
        count = os.preadv(self._fd, [view], self._offset) if view else 0
        self._offset += count
        return count

    def close(self) -> None:
        if not self.closed:
            os.close(self._fd)
        super().close()


def _fault(digest: Digest | None, exc: OSError) -> StorageFault:
    hint = "Free some space, for example with wherry system prune." if exc.errno == errno.ENOSPC else None
    return StorageFault(f"write blob {digest or '(new)'}: {exc.strerror}", hint=hint)

"""Read, hash and count a layer's bytes in the caller's thread while another thread writes its files.

Two cores work at once, and the writing thread has a umask of its own: modes come out as the archive says without
a chmod per file, whatever the process's umask is and whoever changes it.
"""

import hashlib
import os
import queue
import threading
from collections.abc import Callable
from dataclasses import dataclass

from wherry.linux.namespaces import unshare
from wherry.snapshots.snapshotter import LayerRejected, Source
from wherry.snapshots.tar_reader import CHUNK

_CLONE_FS = 0x200
_QUEUED_CHUNKS = 8


class _Aborted(Exception):
    """The stream's reader raised: the writer's part is void."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The stream's digest, and what ``write`` returned."""

    digest: str
    result: int


def run(stream: Source, write: Callable[[Source], int], *, max_bytes: int) -> Outcome:
    """Call ``write`` with a source of ``stream``'s bytes, in a thread whose umask is 0.

    Reads the stream to its end. Raises what ``write`` raises, what ``stream.read`` raises, or LayerRejected when the
    stream is longer than ``max_bytes`` (S18); in every case ``write`` has come to its end by then.
    """
    feed = _Feed()
    writer = _Writer(feed, write)
    writer.start()
    digest = hashlib.sha256()
    count = 0
    try:
        while not feed.closed and (chunk := stream.read(CHUNK)):
            count += len(chunk)
            if count > max_bytes:
                raise LayerRejected(f"the layer is larger than {max_bytes} bytes")
            feed.put(chunk)
            digest.update(chunk)
    except BaseException:
        feed.abort()
        raise
    finally:
        feed.put(b"")
        writer.join()
    if writer.error is not None:
        raise writer.error
    return Outcome(f"sha256:{digest.hexdigest()}", writer.result)


class _Feed:
    """A bounded queue with an end on either side."""

    def __init__(self) -> None:
        self._queue: queue.Queue[bytes] = queue.Queue(_QUEUED_CHUNKS)
        self._aborted = False
        self._ended = False
        self.closed = False

    def put(self, chunk: bytes) -> None:
        """From the reader; b"" is the end."""
        self._queue.put(chunk)

    def abort(self) -> None:
        self._aborted = True

    def read(self, size: int, /) -> bytes:
        """From the writer: the next chunk as it came, whatever its size."""
        if self._ended:
            return b""
        chunk = self._queue.get()
        self._ended = not chunk
        if self._aborted:
            raise _Aborted
        return chunk

    def close(self) -> None:
        """From the writer, when it stops early: the reader stops at its next chunk and never waits for room again."""
        self.closed = True
        while not self._ended:
            self._ended = not self._queue.get()


class _Writer(threading.Thread):
    def __init__(self, feed: _Feed, write: Callable[[Source], int]) -> None:
        super().__init__(name="unpack", daemon=True)
        self._feed = feed
        self._write = write
        self.result = 0
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            unshare(_CLONE_FS)  # this thread alone: umask and working directory
            os.umask(0)
            self.result = self._write(self._feed)
        except BaseException as exc:  # handed to the thread that waits for this one
            self.error = exc
        finally:
            self._feed.close()

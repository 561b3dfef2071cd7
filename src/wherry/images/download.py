"""Downloading layers: a blob is fetched once, however many pulls want it at the same time.

A download runs in a thread of its own and belongs to the pulls that hold it; when the last one lets go it is
suspended, and its bytes stay for a resume. The number that run at once is bounded for the whole engine.
"""

import threading
from collections.abc import Callable
from typing import BinaryIO, cast

from wherry.content.errors import ContentMismatch, StorageFault
from wherry.content.ingest import Ingest
from wherry.content.store import ContentStore
from wherry.errors import System, Unavailable, WherryError
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import Digest
from wherry.registry.blobs import fetch_blob
from wherry.registry.client import Repository
from wherry.registry.errors import ConnectionFailed, retryable
from wherry.registry.retry import Retry
from wherry.registry.transport import Response

_SETTLE_SECONDS = 5.0

Listener = Callable[[str, int], None]
"""Told a status (``Downloading``, ``Verifying Checksum``, ``Download complete``) and the bytes so far."""


class Cancelled(Unavailable):
    """The work was cancelled; what was downloaded is kept."""

    def __init__(self) -> None:
        super().__init__("context canceled")


class Download:
    """One blob on its way. ``open`` may be called at once: the reader follows the network."""

    def __init__(self, content: ContentStore, repository: Repository, descriptor: Descriptor, retry: Retry) -> None:
        self.descriptor = descriptor
        self.resumed = False
        self._content = content
        self._repository = repository
        self._retry = retry
        self._condition = threading.Condition()
        self._listeners: list[Listener] = []
        self._stop = threading.Event()
        self._ingest: Ingest | None = None
        self._response: Response | None = None
        self._ended = False
        self._failure: WherryError | None = None
        self.holders = 0
        self.settled = threading.Event()
        """Set when the thread has let go of the blob, its lease included."""

    def add_listener(self, listener: Listener) -> None:
        """Tell ``listener`` too, from the download's thread."""
        with self._condition:
            self._listeners.append(listener)

    def remove_listener(self, listener: Listener) -> None:
        """Stop telling it."""
        with self._condition:
            self._listeners.remove(listener)

    def open(self, check: Callable[[], None]) -> BinaryIO:
        """A reader from the first byte, whose end means: verified. ``check`` may raise to stop waiting."""
        with self._condition:
            while not self._ended:
                reader = self._ingest.follow(check) if self._ingest is not None else None
                if reader is not None:
                    return cast(BinaryIO, reader)
                check()
                self._condition.wait(0.25)
            if self._failure is not None:
                raise self._failure
        return self._content.open(self.descriptor.digest)

    def wait(self, check: Callable[[], None]) -> None:
        """Block until the blob is durable; raises why it is not."""
        with self._condition:
            while not self._ended:
                check()
                self._condition.wait(0.25)
            if self._failure is not None:
                raise self._failure

    def cancel(self) -> None:
        """Stop now: a blocked read fails."""
        self._stop.set()
        with self._condition:
            response = self._response
        if response is not None:
            response.abort()

    def _opened(self, response: Response | None) -> None:
        with self._condition:
            self._response = response
        if response is not None and self._stop.is_set():
            raise Cancelled

    def run(self) -> None:
        """The download's thread."""
        try:
            self._run()
            self._tell("Download complete", self.descriptor.size)
            failure = None
        except WherryError as exc:
            failure = exc
        except Exception as exc:  # a bug; the waiting pull reports it
            failure = System(f"download {self.descriptor.digest}: {exc!r}")
            failure.__cause__ = exc
        with self._condition:
            self._failure = failure
            self._ended = True
            self._condition.notify_all()

    def _run(self) -> None:
        if self._content.has(self.descriptor.digest):
            return
        ingest = self._content.ingest(self.descriptor.digest, self.descriptor.size)
        self.resumed = ingest.written_bytes > 0
        with self._condition:
            self._ingest = ingest
            self._condition.notify_all()
        try:
            self._fetch(ingest)
            self._tell("Verifying Checksum", self.descriptor.size)
            ingest.commit()
        except (ContentMismatch, StorageFault) as exc:
            ingest.abort(exc)  # wrong bytes are of no use, and a full disk needs the space
            raise
        except BaseException as exc:
            ingest.suspend(exc)
            raise

    def _fetch(self, ingest: Ingest) -> None:
        def write(chunk: bytes) -> None:
            if self._stop.is_set():
                raise Cancelled
            ingest.write(chunk)
            self._tell("Downloading", ingest.written_bytes)

        failures = 0
        while ingest.written_bytes < self.descriptor.size:
            before = ingest.written_bytes
            try:
                if self._stop.is_set():
                    raise Cancelled
                fetch_blob(self._repository, self.descriptor, before, write, opened=self._opened)
                return
            except WherryError as exc:
                # A connection that brought something and broke is not a registry that is down.
                failures = 1 if ingest.written_bytes > before else failures + 1
                if self._stop.is_set():
                    raise Cancelled from exc
                # In the middle of a pull a registry that refuses connections may be one that is restarting.
                hopeless = not retryable(exc) and not isinstance(exc, ConnectionFailed)
                if hopeless or failures >= self._retry.attempts:
                    raise
                delay = 0.0 if ingest.written_bytes > before else self._retry.delay(failures, exc)
                if self._stop.wait(delay):
                    raise Cancelled from exc
            finally:
                self._opened(None)

    def _tell(self, status: str, current: int) -> None:
        with self._condition:
            listeners = list(self._listeners)
        for listener in listeners:
            listener(status, current)


class Downloads:
    """The running downloads of an engine, by digest."""

    def __init__(self, content: ContentStore, retry: Retry, *, at_once: int) -> None:
        self._content = content
        self._retry = retry
        self._slots = threading.BoundedSemaphore(max(at_once, 1))
        self._lock = threading.Lock()
        self._running: dict[Digest, Download] = {}

    def acquire(self, repository: Repository, descriptor: Descriptor) -> Download:
        """Join the blob's download or start it; give it back with ``release``."""
        with self._lock:
            download = self._running.get(descriptor.digest)
            if download is None or download.holders == 0:
                previous, download = download, Download(self._content, repository, descriptor, self._retry)
                self._running[descriptor.digest] = download
                threading.Thread(
                    target=self._run,
                    args=(download, previous),
                    name=f"download-{descriptor.digest[7:19]}",
                    daemon=True,
                ).start()
            download.holders += 1
            return download

    def release(self, download: Download) -> None:
        """Let go; the last holder's leaving stops an unfinished download."""
        with self._lock:
            download.holders -= 1
            if download.holders == 0:
                download.cancel()

    def settle(self, download: Download) -> None:
        """After ``release``: wait until a download that nobody holds has let go of its blob."""
        with self._lock:
            unwanted = download.holders == 0
        if unwanted:
            download.settled.wait(_SETTLE_SECONDS)

    def _run(self, download: Download, previous: Download | None) -> None:
        if previous is not None:
            _await_end(previous)
        with self._content.leases.lease() as lease:
            lease.add(download.descriptor.digest)
            with self._slots:
                download.run()
        with self._lock:
            if self._running.get(download.descriptor.digest) is download:
                del self._running[download.descriptor.digest]
        download.settled.set()


def _await_end(download: Download) -> None:
    try:
        download.wait(lambda: None)
    except WherryError:
        pass  # its own holders were told; the new download starts from what it left

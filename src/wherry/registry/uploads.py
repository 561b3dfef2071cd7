"""Uploading blobs: is it there, can it be mounted from another repository, else sent and, when cut, resumed.

Distribution specification, "Pushing blobs". A blob goes out in one PATCH of its whole length (in pieces to a
registry that answers 413), and a PUT with its digest closes the upload: the registry checks it. After a cut the
registry is asked how much it has. Out of scope: which blobs an image has (``images/push``).
"""

import re
import threading
from collections.abc import Callable, Iterator
from typing import Final
from urllib.parse import quote

from wherry.errors import WherryError
from wherry.oci.descriptor import Descriptor
from wherry.oci.digest import Digest
from wherry.registry.client import Repository
from wherry.registry.errors import BlobUnknown, ConnectionFailed, RegistryError, TooLarge, retryable
from wherry.registry.origin import join_url
from wherry.registry.retry import Retry
from wherry.registry.transport import Body, Response

PIECE_BYTES: Final = 16 << 20
"""What is sent at once to a registry, or to the proxy before it, that refuses more."""

_RANGE: Final = re.compile(r"(?:bytes=)?0-(\d{1,16})", re.ASCII)

Source = Callable[[int, int], Iterator[bytes]]
"""The blob's bytes from an offset, so many of them; may be called again for a part that has to be sent again."""


def blob_exists(repository: Repository, digest: Digest) -> bool:
    """Whether the repository has the blob already. One round trip.

    A registry, or the storage it redirects to, may know no HEAD: then the upload says what is wrong, if anything.
    """
    return repository.push_request(
        "HEAD", f"blobs/{digest}", statuses=(200, 403, 404, 405), receive=lambda response: response.status == 200
    )


def begin_upload(repository: Repository, *, mount: Digest | None = None, mount_from: str = "") -> str | None:
    """Open an upload and give its URL; None when the registry took ``mount`` from repository ``mount_from``."""
    path, scope = "blobs/uploads/", ""
    if mount is not None:
        path += f"?mount={quote(mount, safe='')}&from={quote(mount_from, safe='')}"
        scope = f"repository:{mount_from}:pull"

    def receive(response: Response) -> str | None:
        return None if mount is not None and response.status == 201 else _location(response)

    return repository.push_request(
        "POST", path, headers={"Content-Length": "0"}, statuses=(202, 201), receive=receive, scope=scope
    )


def upload_blob(
    repository: Repository,
    blob: Descriptor,
    source: Source,
    *,
    location: str | None,
    told: Callable[[int], None],
    retry: Retry,
    cancelled: threading.Event,
) -> None:
    """Send a blob into the upload at ``location`` (None: open one). ``told`` gets the bytes sent so far.

    Raises what the registry answers; what ``source`` raises passes through.
    """
    _Upload(repository, blob, source, location or "", told).run(retry, cancelled)


class _Upload:
    def __init__(
        self, repository: Repository, blob: Descriptor, source: Source, location: str, told: Callable[[int], None]
    ) -> None:
        self._repository = repository
        self._blob = blob
        self._source = source
        self._location = location
        self._told = told
        self._offset = 0
        """What the registry has, as far as it has said so."""
        self._piece = blob.size

    def run(self, retry: Retry, cancelled: threading.Event) -> None:
        failures = confirmed = 0
        while True:
            try:
                if self._settled(failed=failures > 0):
                    return
                if self._offset > confirmed:  # a connection that brought something and broke is not a dead registry
                    failures, confirmed = 0, self._offset
                self._send()
                self._close()
                return
            except TooLarge:
                if self._piece <= PIECE_BYTES:
                    raise
                self._piece, self._location = PIECE_BYTES, ""
            except WherryError as exc:
                failures += 1
                # In the middle of a push a registry that refuses connections may be one that is restarting.
                hopeless = not retryable(exc) and not isinstance(exc, (ConnectionFailed, BlobUnknown))
                if hopeless or failures >= retry.attempts or cancelled.wait(retry.delay(failures, exc)):
                    raise

    def _settled(self, *, failed: bool) -> bool:
        """Find out where to go on; whether the blob is there already because only an answer was lost."""
        if failed and self._location:
            self._location, self._offset = self._progress()
        if not self._location:
            if failed and blob_exists(self._repository, self._blob.digest):
                return True
            self._location, self._offset = begin_upload(self._repository) or "", 0
        return False

    def _progress(self) -> tuple[str, int]:
        def receive(response: Response) -> tuple[str, int]:
            has = _RANGE.fullmatch(response.header("Range"))
            # "0-0" may be no byte or one: such an upload is begun again.
            if response.status == 404 or has is None or has[1] == "0" or int(has[1]) >= self._blob.size:
                return "", 0
            return (_location(response) if response.header("Location") else self._location), int(has[1]) + 1

        return self._repository.push_request("GET", self._location, statuses=(204, 200, 404), receive=receive)

    def _send(self) -> None:
        while self._offset < self._blob.size:
            start, count = self._offset, min(self._piece, self._blob.size - self._offset)

            def pieces(start: int = start, count: int = count) -> Iterator[bytes]:
                sent = start
                for piece in self._source(start, count):
                    yield piece
                    sent += len(piece)
                    self._told(sent)

            headers = {"Content-Type": "application/octet-stream"}
            if start or count < self._blob.size:
                headers["Content-Range"] = f"{start}-{start + count - 1}"
            self._location = self._repository.push_request(
                "PATCH", self._location, headers=headers, body=Body(count, pieces), statuses=(202, 201, 204),
                receive=_location,
            )  # fmt: skip
            self._offset += count

    def _close(self) -> None:
        url = self._location + ("&" if "?" in self._location else "?") + f"digest={quote(self._blob.digest, safe='')}"
        self._repository.push_request(
            "PUT", url, headers={"Content-Length": "0"}, statuses=(201, 204), receive=lambda response: None
        )


def _location(response: Response) -> str:
    location = response.header("Location")
    if not location:
        raise RegistryError(f"unexpected answer from {response.url}: an upload without a location")
    return join_url(response.url, location)

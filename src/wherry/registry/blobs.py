"""Fetching blobs: a stream from an offset, for the caller to hash (``content/ingest``)."""

from collections.abc import Callable

from wherry.errors import InvalidParameter
from wherry.oci.descriptor import Descriptor
from wherry.registry.client import Repository
from wherry.registry.errors import ConnectionFailed, RegistryError
from wherry.registry.transport import Response

CHUNK_BYTES = 1 << 20


def fetch_blob(
    repository: Repository,
    descriptor: Descriptor,
    offset: int,
    write: Callable[[bytes], None],
    *,
    opened: Callable[[Response], None] = lambda response: None,
) -> None:
    """Feed ``write`` the blob's bytes from ``offset`` on, in pieces of at most 1 MiB.

    Reads at most one byte more than the descriptor's size (S02): a longer blob is for ``write`` to refuse.
    Raises ConnectionFailed when the answer ends early; what ``write`` raises passes through. A server that
    does not know ranges sends all of it, and the first part is skipped. ``opened`` is given the answer
    first, so that another thread can abort it.
    """

    def receive(response: Response) -> None:
        opened(response)
        skip = 0
        if response.status == 206:
            if not response.header("Content-Range").startswith(f"bytes {offset}-"):
                raise RegistryError(f"fetch {descriptor.digest}: registry sent another range than asked for")
        else:
            skip = offset
        expected = descriptor.size - (offset - skip)
        length = response.content_length
        if length is not None and length != expected:
            raise BlobSizeMismatch(descriptor, length)
        missing = expected + 1
        while missing > 0 and (chunk := response.read(min(CHUNK_BYTES, missing))):
            missing -= len(chunk)
            if skip:
                dropped = min(skip, len(chunk))
                chunk, skip = chunk[dropped:], skip - dropped
            if chunk:
                write(chunk)
        if missing > 1:
            raise ConnectionFailed(f'Get "{response.url}": unexpected EOF')

    headers = {"Range": f"bytes={offset}-"} if offset else {}
    repository.request(
        "GET", f"blobs/{descriptor.digest}", headers, what="blob", receive=receive, statuses=(200, 206)
    )


class BlobSizeMismatch(InvalidParameter):
    """The registry announces another size than the manifest does (S02)."""

    def __init__(self, descriptor: Descriptor, length: int) -> None:
        super().__init__(
            f"fetch {descriptor.digest}: registry announces {length} bytes, manifest says {descriptor.size}"
        )

"""What can go wrong with blobs."""

from wherry.errors import InvalidParameter, NotFound, System


class BlobNotFound(NotFound):
    """No blob of that digest."""


class StorageFault(System):
    """The disk is full or broken, or a stored blob is corrupt."""


class ContentMismatch(InvalidParameter):
    """Bytes that are not what their descriptor promised (S01, S02)."""

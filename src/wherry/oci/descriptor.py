"""Descriptors: media type, digest and size of a piece of content (OCI image specification, descriptor.md)."""

import msgspec

from wherry.errors import InvalidParameter
from wherry.oci.digest import Digest, parse_digest
from wherry.oci.platform import Platform

MAX_SIZE_BYTES = 1 << 50


class Descriptor(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """A descriptor as it stands in a manifest; call :meth:`check` before use."""

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] | None = None
    annotations: dict[str, str] | None = None
    platform: Platform | None = None
    artifact_type: str | None = None

    def check(self) -> None:
        """Digest grammar and a size that can be true; raises InvalidParameter."""
        parse_digest(self.digest)
        if not 0 <= self.size <= MAX_SIZE_BYTES:
            raise InvalidParameter(f"invalid size {self.size} of {self.digest}")

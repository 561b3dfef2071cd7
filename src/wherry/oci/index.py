"""Image indexes (OCI image-index.md, Docker manifest lists)."""

from typing import Final

import msgspec

from wherry.oci import codec
from wherry.oci.descriptor import Descriptor
from wherry.oci.manifest import InvalidManifest

MAX_CHILDREN: Final = 1024
MAX_NESTING: Final = 4
"""How deep an index may point to indexes (S06)."""


class Index(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """Manifests for several platforms under one name."""

    schema_version: int
    media_type: str = ""
    manifests: tuple[Descriptor, ...]
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None
    subject: Descriptor | None = None


def decode_index(data: bytes) -> Index:
    """Decode and check an index; raises InvalidDocument or InvalidManifest."""
    index = codec.decode(data, Index, what="image index")
    if index.schema_version != 2:
        raise InvalidManifest(f"unsupported index schema version {index.schema_version}")
    if len(index.manifests) > MAX_CHILDREN:
        raise InvalidManifest(f"image index has {len(index.manifests)} entries, more than {MAX_CHILDREN}")
    for child in index.manifests:
        child.check()
    return index

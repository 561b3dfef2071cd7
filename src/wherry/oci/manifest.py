"""Image manifests (OCI manifest.md, Docker schema 2) and their checks."""

from typing import Final

import msgspec

from wherry.errors import InvalidParameter
from wherry.oci import codec, media_types
from wherry.oci.descriptor import Descriptor

MAX_LAYERS: Final = 512
"""overlayfs takes 500 lower directories; Docker itself stops at 127 layers."""


class InvalidManifest(InvalidParameter):
    """A manifest that contradicts itself or the media type it came with."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """One image: its config and its layers, base first."""

    schema_version: int
    media_type: str = ""
    config: Descriptor
    layers: tuple[Descriptor, ...]
    annotations: dict[str, str] | None = None
    artifact_type: str | None = None
    subject: Descriptor | None = None


def media_type_of(data: bytes, content_type: str) -> str:
    """The media type of a manifest or index, checked against the ``Content-Type`` it came with (S04).

    ``content_type`` may be empty for content without one (an archive); then the document decides. Raises
    InvalidManifest for schema 1, unknown types, documents that are both, or a ``mediaType`` that differs.
    """
    document = codec.decode_any(data, what="manifest")
    if not isinstance(document, dict):
        raise InvalidManifest("decode manifest: not a JSON object")
    declared = content_type.partition(";")[0].strip().lower()
    embedded = document.get("mediaType", "")
    if declared in media_types.SCHEMA1 or "fsLayers" in document or document.get("schemaVersion") == 1:
        raise InvalidManifest(
            "manifest is in Docker's image format v1 (schema 1), which is not supported",
            hint="Ask the publisher for a current image, or convert it with skopeo copy --format v2s2.",
        )
    if not isinstance(embedded, str):
        raise InvalidManifest("decode manifest: mediaType is not a string")
    lowered = {key.casefold() for key in document}
    if "manifests" in lowered and lowered & {"layers", "config"}:
        raise InvalidManifest("manifest has the fields of an index and of an image: refusing to guess")
    known = media_types.INDEXES | media_types.MANIFESTS
    if embedded and declared in known and embedded != declared:
        raise InvalidManifest(f"manifest says mediaType {embedded[:200]!r} but was served as {declared!r}")
    kind = embedded or (declared if declared in known else "")
    if not kind:
        kind = media_types.OCI_INDEX if "manifests" in document else media_types.OCI_MANIFEST
    if kind not in known:
        raise InvalidManifest(f"unsupported manifest media type {kind[:200]!r}")
    if (kind in media_types.INDEXES) != ("manifests" in document):
        raise InvalidManifest(f"manifest does not have the fields of its media type {kind!r}")
    return kind


def decode_manifest(data: bytes) -> Manifest:
    """Decode and check an image manifest; raises InvalidDocument or InvalidManifest."""
    manifest = codec.decode(data, Manifest, what="manifest")
    if manifest.schema_version != 2:
        raise InvalidManifest(f"unsupported manifest schema version {manifest.schema_version}")
    if len(manifest.layers) > MAX_LAYERS:
        raise InvalidManifest(f"manifest has {len(manifest.layers)} layers, more than {MAX_LAYERS}")
    manifest.config.check()
    if manifest.config.size > codec.MAX_DOCUMENT_BYTES:
        raise InvalidManifest(
            f"image config of {manifest.config.size} bytes is larger than {codec.MAX_DOCUMENT_BYTES}"
        )
    for layer in manifest.layers:
        layer.check()
    return manifest

"""What an image is to the rest of the engine, and the callbacks by which it speaks to those above."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NewType

from wherry.errors import NotFound
from wherry.oci.digest import Digest
from wherry.oci.image_config import ImageConfig
from wherry.snapshots.chain_id import ChainId

ImageId = NewType("ImageId", str)
"""The digest of the image's config."""

Progress = Callable[[dict[str, Any]], None]
"""Takes Docker's jsonmessage objects: ``status``, ``id``, ``progressDetail``, ``errorDetail``."""

Publish = Callable[[str, str, str, dict[str, str]], None]
"""Tells an event: type, action, actor id, attributes."""


class ImageNotFound(NotFound):
    """Docker's text: clients tell a missing image by it."""

    def __init__(self, name: str) -> None:
        super().__init__(f"No such image: {name}")


@dataclass(frozen=True, slots=True)
class ContainerUse:
    """A container that uses an image."""

    id: str
    name: str
    running: bool


ContainersUsing = Callable[[ImageId], list[ContainerUse]]


@dataclass(frozen=True, slots=True)
class Image:
    """A stored image: whole, unpacked, and named by zero or more tags."""

    id: ImageId
    config: ImageConfig
    config_blob: bytes
    manifest_digest: Digest
    manifest_media_type: str
    chain_ids: tuple[ChainId, ...]
    """One per layer, base first; the last is the parent of a container's snapshot."""
    repo_tags: tuple[str, ...]
    """Familiar, as ``busybox:latest``."""
    repo_digests: tuple[str, ...]
    """Familiar, as ``busybox@sha256:…``."""
    size_bytes: int
    """Of all layers, unpacked."""
    added_at: float
    """Unix time at which it came here."""
    tagged_at: float
    """Unix time of the last tagging, 0 when never."""
    parent_id: str = ""
    """The image it was built or committed from on this machine, if that is known."""

    @property
    def chain_id(self) -> ChainId | None:
        """The top of the chain; None for an image without layers."""
        return self.chain_ids[-1] if self.chain_ids else None

    @property
    def short_id(self) -> str:
        """Twelve hex digits."""
        return self.id.partition(":")[2][:12]

    def with_names(self, repo_tags: tuple[str, ...], repo_digests: tuple[str, ...]) -> "Image":
        """The image under some of its names."""
        return replace(self, repo_tags=repo_tags, repo_digests=repo_digests)

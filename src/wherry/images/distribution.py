"""What a registry says about an image, without pulling it (GET /distribution/{name}/json)."""

import re
from typing import Any

from wherry.errors import InvalidParameter
from wherry.oci import media_types
from wherry.oci.image_config import decode_image_config
from wherry.oci.index import decode_index
from wherry.oci.manifest import decode_manifest
from wherry.oci.platform import Platform
from wherry.oci.reference import parse as parse_reference
from wherry.registry.blobs import fetch_blob
from wherry.registry.client import RegistryClient, Repository
from wherry.registry.credentials import AuthConfig
from wherry.registry.errors import AccessDenied, ManifestUnknown, RequestDenied
from wherry.registry.manifests import FetchedManifest, fetch_manifest

_MAX_CONFIG_BYTES = 4 << 20
_FULL_ID = re.compile(r"(?:sha256:)?[0-9a-f]{64}", re.ASCII)


def inspect_distribution(client: RegistryClient, name: str, auth: AuthConfig | None) -> dict[str, Any]:
    """Docker's DistributionInspect: the descriptor behind ``name`` and the platforms it has."""
    if _FULL_ID.fullmatch(name):
        raise InvalidParameter("no manifest found for full image ID")
    reference = parse_reference(name).with_default_tag()
    repository = client.repository(reference, auth)
    try:
        found = fetch_manifest(repository, reference.digest or reference.tag or "")
    except ManifestUnknown as exc:  # here Docker passes on the registry's words alone
        raise ManifestUnknown(exc.message.partition(" not found: ")[2]) from exc
    except AccessDenied as exc:
        raise RequestDenied("denied: requested access to the resource is denied") from exc
    return {
        "Descriptor": {"mediaType": found.media_type, "digest": found.digest, "size": len(found.data)},
        "Platforms": [_platform(platform) for platform in _platforms(repository, found)],
    }


def _platforms(repository: Repository, found: FetchedManifest) -> list[Platform]:
    if found.media_type in media_types.INDEXES:
        return [child.platform for child in decode_index(found.data).manifests if child.platform is not None]
    descriptor = decode_manifest(found.data).config
    if descriptor.media_type not in media_types.CONFIGS:
        return []
    if descriptor.size > _MAX_CONFIG_BYTES:
        raise InvalidParameter(f"image config {descriptor.digest} of {descriptor.size} bytes is too large")
    data = bytearray()
    fetch_blob(repository, descriptor, 0, data.extend)
    config = decode_image_config(bytes(data))
    return [Platform(config.architecture, config.os, config.variant or "")]


def _platform(platform: Platform) -> dict[str, str]:
    fields = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}
    return {name: value for name, value in fields.items() if value or name != "variant"}

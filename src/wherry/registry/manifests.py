"""Fetching manifests and indexes: small, checked against digest and media type before anyone sees them."""

from dataclasses import dataclass

from wherry.errors import InvalidParameter
from wherry.oci import media_types
from wherry.oci.codec import MAX_DOCUMENT_BYTES
from wherry.oci.digest import Digest, Hasher, algorithm, digest_of, is_digest
from wherry.oci.manifest import media_type_of
from wherry.registry.client import Repository
from wherry.registry.transport import Response


class ManifestMismatch(InvalidParameter):
    """A registry's manifest is not what was asked for (S01, S02, S13)."""


@dataclass(frozen=True, slots=True)
class FetchedManifest:
    """A manifest or index whose bytes match ``digest`` and whose kind matches ``media_type``."""

    digest: Digest
    media_type: str
    data: bytes


_HEADERS = {"Accept": ", ".join(media_types.ACCEPT_MANIFESTS)}


def head_manifest(repository: Repository, tag: str) -> Digest | None:
    """The digest that the registry claims for a tag; None when it does not say. One round trip."""

    def receive(response: Response) -> Digest | None:
        claimed = response.header("Docker-Content-Digest")
        return Digest(claimed) if is_digest(claimed) else None

    return repository.request("HEAD", f"manifests/{tag}", _HEADERS, what="manifest", receive=receive)


def fetch_manifest(repository: Repository, name: str | Digest, size_bytes: int | None = None) -> FetchedManifest:
    """Fetch by tag or digest. By digest the bytes must hash to it; by tag to what the registry claims."""

    def receive(response: Response) -> FetchedManifest:
        limit = MAX_DOCUMENT_BYTES if size_bytes is None else min(size_bytes, MAX_DOCUMENT_BYTES)
        data = response.read_all(limit)
        if len(data) > limit or (size_bytes is not None and len(data) != size_bytes):
            raise ManifestMismatch(f"manifest {name} does not have its size of {limit} bytes")
        expected = name if is_digest(name) else response.header("Docker-Content-Digest")
        found = _digest_like(data, expected)
        if expected and found != expected:
            raise ManifestMismatch(f"manifest verification failed for digest {expected}")
        return FetchedManifest(found, media_type_of(data, response.header("Content-Type")), data)

    return repository.request("GET", f"manifests/{name}", _HEADERS, what="manifest", receive=receive)


def _digest_like(data: bytes, expected: str) -> Digest:
    if not is_digest(expected):
        return digest_of(data)
    hasher = Hasher(algorithm(Digest(expected)))
    hasher.update(data)
    return hasher.digest()

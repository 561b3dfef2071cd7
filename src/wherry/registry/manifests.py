"""Fetching and putting manifests and indexes: small, checked against digest and media type on both ways."""

from dataclasses import dataclass

from wherry.errors import InvalidParameter
from wherry.oci import media_types
from wherry.oci.codec import MAX_DOCUMENT_BYTES
from wherry.oci.digest import Digest, Hasher, algorithm, digest_of, is_digest
from wherry.oci.manifest import media_type_of
from wherry.registry.client import Repository
from wherry.registry.transport import Body, Response


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


def put_manifest(repository: Repository, name: str | Digest, media_type: str, data: bytes) -> Digest:
    """Store a manifest under a tag or its digest, after everything that it names; the digest the registry agreed to.

    Raises ManifestMismatch for a registry that stored something else.
    """
    expected = digest_of(data)

    def receive(response: Response) -> Digest:
        claimed = response.header("Docker-Content-Digest")
        if claimed and claimed != expected:
            raise ManifestMismatch(
                f"manifest verification failed for digest {expected}: registry has {claimed[:200]}"
            )
        return expected

    return repository.push_request(
        "PUT", f"manifests/{name}", headers={"Content-Type": media_type}, body=Body(len(data), lambda: iter((data,))),
        statuses=(201, 200, 202), receive=receive,
    )  # fmt: skip


def _digest_like(data: bytes, expected: str) -> Digest:
    if not is_digest(expected):
        return digest_of(data)
    hasher = Hasher(algorithm(Digest(expected)))
    hasher.update(data)
    return hasher.digest()

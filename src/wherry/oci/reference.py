"""Image references: Docker's grammar (distribution ``reference``) and its normalisation.

``alpine`` → ``docker.io/library/alpine``; the familiar form is the way back. Error texts are Docker's.
"""

import re
from dataclasses import dataclass, replace
from typing import Final

from wherry.errors import InvalidParameter
from wherry.oci.digest import Digest, is_digest, parse_digest

DEFAULT_DOMAIN: Final = "docker.io"
DEFAULT_TAG: Final = "latest"
_LEGACY_DOMAIN: Final = "index.docker.io"
_OFFICIAL: Final = "library/"
_MAX_NAME: Final = 255

_LABEL = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
_DOMAIN = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[(?:[a-fA-F0-9:]+)\])(?::[0-9]+)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|[-]+)[a-z0-9]+)*"
_PATH = rf"{_PART}(?:/{_PART})*"
_TAG = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_ANY_DIGEST = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"
_REFERENCE: Final = re.compile(
    rf"(?P<name>(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_PATH}))(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_ANY_DIGEST}))?",
    re.ASCII,
)
_BARE_ID: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_TAG_ONLY: Final = re.compile(_TAG, re.ASCII)


class InvalidReference(InvalidParameter):
    """Text that names no image."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A normalised reference: ``domain/path[:tag][@digest]``."""

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    @property
    def repository(self) -> str:
        """``docker.io/library/alpine``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """``alpine`` for ``docker.io/library/alpine``; others as they are."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        short = self.path.removeprefix(_OFFICIAL)
        return short if "/" not in short else self.path

    @property
    def familiar(self) -> str:
        """The familiar name with tag and digest, as Docker prints it."""
        return self.familiar_name + self._suffix()

    def with_default_tag(self) -> "Reference":
        """Add ``:latest`` to a bare name."""
        return self if self.tag or self.digest else replace(self, tag=DEFAULT_TAG)

    def without_digest(self) -> "Reference":
        """Only name and tag."""
        return replace(self, digest=None)

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def __str__(self) -> str:
        return self.repository + self._suffix()


def parse(text: str) -> Reference:
    """Parse and normalise; raises InvalidReference with Docker's text."""
    if _BARE_ID.fullmatch(text):
        raise InvalidReference(f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings")
    domain, remainder = _split_domain(text)
    match = _REFERENCE.fullmatch(f"{domain}/{remainder}") if len(text) <= 4096 else None
    name = remainder.partition(":")[0]
    if name.lower() != name:
        raise InvalidReference(f"invalid reference format: repository name ({name}) must be lowercase")
    if match is None or match["domain"] is None:
        raise InvalidReference("invalid reference format")
    if len(match["path"]) > _MAX_NAME or len(match["name"]) > _MAX_NAME:
        raise InvalidReference(f"repository name must not be more than {_MAX_NAME} characters")
    digest = match["digest"]
    if digest is not None and not is_digest(digest):
        raise InvalidReference(_digest_fault(digest))
    return Reference(match["domain"], match["path"], match["tag"], parse_digest(digest) if digest else None)


def from_repository(repository: str, *, tag: str | None = None, digest: Digest | None = None) -> Reference:
    """A reference from its stored, already normalised repository."""
    domain, _, path = repository.partition("/")
    return Reference(domain, path, tag, digest)


def is_tag(text: str) -> bool:
    """Whether ``text`` can be a tag."""
    return _TAG_ONLY.fullmatch(text) is not None


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash or (not any(c in first for c in ".:[") and first != "localhost" and first.lower() == first):
        domain, remainder = DEFAULT_DOMAIN, text
    else:
        domain, remainder = first, rest
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in remainder:
        remainder = _OFFICIAL + remainder
    return domain, remainder


def _digest_fault(digest: str) -> str:
    algorithm = digest.partition(":")[0]
    return "invalid checksum digest length" if algorithm in ("sha256", "sha512") else "unsupported digest algorithm"

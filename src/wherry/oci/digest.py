"""Content digests, ``algorithm:hex`` (OCI image specification, descriptor.md), in a strict grammar.

A digest becomes part of paths and URLs, so nothing is a ``Digest`` that has not gone through
:func:`parse_digest` or was computed here (S03).
"""

import hashlib
import re
from typing import Final, NewType

from wherry.errors import InvalidParameter

Digest = NewType("Digest", str)
"""``sha256:`` and 64 lower-case hex digits, or ``sha512:`` and 128."""

DiffId = NewType("DiffId", str)
"""The digest of a layer's uncompressed tar stream."""

_HEX_DIGITS: Final = {"sha256": 64, "sha512": 128}
_GRAMMAR: Final = re.compile(r"(sha256):([0-9a-f]{64})|(sha512):([0-9a-f]{128})", re.ASCII)


class InvalidDigest(InvalidParameter):
    """Not a digest of the grammar and algorithms above."""


def parse_digest(text: str) -> Digest:
    """Check ``text``; raises InvalidDigest. Case, length and algorithm must be exact."""
    if _GRAMMAR.fullmatch(text) is None:
        raise InvalidDigest(
            f"invalid digest {text[:200]!r}: want sha256: and 64, or sha512: and 128 lower-case hex digits"
        )
    return Digest(text)


def is_digest(text: str) -> bool:
    """Whether ``parse_digest`` would accept it."""
    return _GRAMMAR.fullmatch(text) is not None


def digest_of(data: bytes) -> Digest:
    """The sha256 digest of ``data``."""
    return Digest("sha256:" + hashlib.sha256(data).hexdigest())


def algorithm(digest: Digest | DiffId) -> str:
    """``sha256`` or ``sha512``."""
    return digest.partition(":")[0]


def encoded(digest: Digest | DiffId) -> str:
    """The hex digits."""
    return digest.partition(":")[2]


class Hasher:
    """Hashes a stream with the algorithm of the digest that is expected of it."""

    __slots__ = ("_hash", "_name")

    def __init__(self, name: str = "sha256") -> None:
        if name not in _HEX_DIGITS:
            raise InvalidDigest(f"unsupported digest algorithm {name[:50]!r}")
        self._name = name
        self._hash = hashlib.new(name, usedforsecurity=True)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """Add ``data``; the GIL is released for anything longer than 2 KiB."""
        self._hash.update(data)

    def digest(self) -> Digest:
        """The digest of everything so far."""
        return Digest(f"{self._name}:{self._hash.hexdigest()}")

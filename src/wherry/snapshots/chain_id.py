"""chain_id: the name of a stack of layers (OCI image specification, "Layer ChainID").

ChainID(L₀) = DiffID(L₀); ChainID(L₀|…|Lₙ) = sha256(ChainID(L₀|…|Lₙ₋₁) + " " + DiffID(Lₙ)).
"""

import hashlib
import re
from collections.abc import Iterable
from typing import NewType

from wherry.errors import InvalidParameter

ChainId = NewType("ChainId", str)

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}\Z")


class InvalidDigest(InvalidParameter):
    """A diff_id or chain_id that is not ``sha256:`` and 64 lower-case hex digits (S03)."""


def check_digest(digest: str) -> str:
    """Return ``digest`` when its grammar is right: it becomes part of a path."""
    if not _SHA256.match(digest):
        raise InvalidDigest(f"invalid digest {digest!r}: not sha256 and 64 lower-case hexadecimal digits")
    return digest


def extend(parent: ChainId | None, diff_id: str) -> ChainId:
    """The chain_id of the layer ``diff_id`` on top of ``parent``."""
    check_digest(diff_id)
    if parent is None:
        return ChainId(diff_id)
    check_digest(parent)
    return ChainId("sha256:" + hashlib.sha256(f"{parent} {diff_id}".encode()).hexdigest())


def chain_ids(diff_ids: Iterable[str]) -> list[ChainId]:
    """The chain_id after each layer, bottom first: one per diff_id. The last one names the image's file system."""
    chain: list[ChainId] = []
    for diff_id in diff_ids:
        chain.append(extend(chain[-1] if chain else None, diff_id))
    return chain

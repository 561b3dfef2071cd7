"""From a tar stream to a whole layer directory under a temporary name, flushed and verified."""

import os
import secrets
from collections.abc import Sequence

from wherry.linux.filesystem import syncfs
from wherry.snapshots import layer, lower, pipeline
from wherry.snapshots.chain_id import ChainId, extend
from wherry.snapshots.failure import storing
from wherry.snapshots.layer import Layer
from wherry.snapshots.remove_tree import remove_tree
from wherry.snapshots.snapshotter import LayerRejected, Source
from wherry.snapshots.tar_reader import TarReader
from wherry.snapshots.unpack import unpack


def ingest(
    path: str,
    tar: Source,
    *,
    diff_id: str,
    parent: ChainId | None,
    below: Sequence[str],
    max_bytes: int,
    max_entries: int,
) -> Layer:
    """Make the directory ``path`` with ``fs`` and the record; ``below`` are the parents' directories, top first.

    On return all of it has reached the disk. After an error the caller removes what is there (:func:`discard`).
    """
    with storing("make a directory for the layer"):
        os.mkdir(path, 0o700)
        os.mkdir(f"{path}/fs", 0o755)
        root_fd = os.open(f"{path}/fs", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with storing("prepare the layer's root"):
            lower.copy_root_ownership(below, root_fd)

        def write(source: Source) -> int:
            reader = TarReader(source, max_entries=max_entries)
            size = unpack(reader, root_fd, lower=(lambda p: lower.directory_status(below, p)) if below else None)
            reader.drain()
            return size

        outcome = pipeline.run(tar, write, max_bytes=max_bytes)
        if outcome.digest != diff_id:
            raise LayerRejected(f"its content has the digest {outcome.digest}")
        made = Layer(extend(parent, diff_id), parent, diff_id, outcome.result, secrets.token_hex(6))
        with storing("flush the layer"):
            layer.write_record(path, made)
            syncfs(root_fd)
        return made
    finally:
        os.close(root_fd)


def discard(path: str) -> None:
    """Remove what a failure left, now: it may be what filled the disk. Nothing there is fine."""
    parent, _, name = path.rpartition("/")
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        remove_tree(fd, name.encode())
    finally:
        os.close(fd)

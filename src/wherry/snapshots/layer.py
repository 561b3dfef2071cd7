"""A committed layer on disk: its directory, its record, its short name.

::

    layers/<chain-hex>/fs/         the layer's files (whiteouts as overlayfs wants them)
    layers/<chain-hex>/meta.json   format version, parent, diff_id, size, link
    l/<link> -> ../layers/<chain-hex>/fs   short, so that a hundred layers fit into one page of mount options

The directory under its final name is the truth: it is renamed there whole and flushed. Nothing in it changes after.
"""

import json
import os
from dataclasses import dataclass

from wherry.linux.filesystem import sync_directory
from wherry.log import get_logger
from wherry.metadata.atomic_file import write_atomic
from wherry.snapshots.chain_id import ChainId, InvalidDigest, check_digest
from wherry.snapshots.snapshotter import SnapshotFailed

logger = get_logger(__name__)

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer's record."""

    chain_id: ChainId
    parent: ChainId | None
    diff_id: str
    size_bytes: int
    link: str


def directory(root: str, chain_id: ChainId) -> str:
    """``layers/<chain-hex>``; ``fs`` is in it."""
    return f"{root}/layers/{check_digest(chain_id)[7:]}"


def write_record(path: str, layer: Layer) -> None:
    """Write ``meta.json`` into the directory ``path``; durable on return."""
    document = {
        "version": FORMAT,
        "parent": layer.parent,
        "diff_id": layer.diff_id,
        "size": layer.size_bytes,
        "link": layer.link,
    }
    write_atomic(f"{path}/meta.json", json.dumps(document).encode())


def read_all(root: str) -> dict[ChainId, Layer]:
    """Every layer below ``root``. A layer of a newer format is refused; one without a record does not exist."""
    layers: dict[ChainId, Layer] = {}
    for name in os.listdir(f"{root}/layers"):
        layer = _read(root, name)
        if layer is not None:
            layers[layer.chain_id] = layer
    return layers


def _read(root: str, name: str) -> Layer | None:
    path = f"{root}/layers/{name}/meta.json"
    try:
        chain_id = ChainId(check_digest(f"sha256:{name}"))
        with open(path, "rb") as file:
            document = json.load(file)
        version = document["version"]
        layer = Layer(chain_id, document["parent"], document["diff_id"], document["size"], document["link"])
    except (InvalidDigest, FileNotFoundError, ValueError, KeyError, TypeError) as exc:
        logger.warning("ignore the layer %s: %s", path, exc)
        return None
    if version != FORMAT:
        raise SnapshotFailed(
            f"read {path}: format {version} is not known to this version of wherry",
            hint="The data root was written by a newer wherry: use that one, or another data root.",
        )
    return layer


def sweep_links(root: str, layers: dict[ChainId, Layer]) -> None:
    """Make the short names fit the layers: a crash may have left one without its layer."""
    wanted = {layer.link: f"../layers/{layer.chain_id[7:]}/fs" for layer in layers.values()}
    present = set(os.listdir(f"{root}/l"))
    for link in present - wanted.keys():
        os.unlink(f"{root}/l/{link}")
    for link in wanted.keys() - present:
        os.symlink(wanted[link], f"{root}/l/{link}")
    if present != wanted.keys():
        sync_directory(f"{root}/l")

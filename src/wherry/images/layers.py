"""From a layer's blob to a committed snapshot, one layer on top of the other."""

from collections.abc import Callable
from typing import BinaryIO, cast

from wherry.content.compression import ByteSource, DecompressedReader
from wherry.images.stores import Stores
from wherry.oci.digest import DiffId
from wherry.snapshots.chain_id import ChainId
from wherry.snapshots.snapshotter import LayerRejected


class Budget:
    """How many unpacked bytes an image may still cost (S18)."""

    def __init__(self, layer_bytes: int, image_bytes: int) -> None:
        self._layer_bytes = layer_bytes
        self._image_bytes = image_bytes

    def next_layer(self) -> int:
        """The bound of the layer that comes now."""
        return min(self._layer_bytes, self._image_bytes)

    def spend(self, count: int) -> None:
        """A layer took ``count`` bytes; raises LayerRejected when the image has used up its share."""
        self._image_bytes -= count
        if self._image_bytes < 0:
            raise LayerRejected(
                "the image is larger than the limit", hint="Raise max-image-size in the settings file."
            )


def unpack_layer(
    stores: Stores, parent: ChainId | None, diff_id: DiffId, blob: ByteSource, budget: Budget
) -> ChainId:
    """Unpack a blob, compressed or not, and check it against ``diff_id``; durable on return.

    Raises LayerRejected, CorruptStream, and what ``blob.read`` raises.
    """
    reader = _Counted(DecompressedReader(blob).read)
    chain_id = stores.snapshotter.unpack(parent, diff_id, cast(BinaryIO, reader), max_bytes=budget.next_layer())
    budget.spend(reader.count)
    return chain_id


class _Counted:
    """Counts what is read."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read
        self.count = 0

    def read(self, size: int = 1 << 20, /) -> bytes:
        data = self._read(size)
        self.count += len(data)
        return data

"""How much disk a container uses: its own layer, and that with the image's layers."""

from wherry.containers.container import Container
from wherry.containers.services import Services
from wherry.images.image import ImageNotFound
from wherry.snapshots.snapshotter import SnapshotNotFound


def sizes_of(services: Services, container: Container) -> tuple[int, int]:
    """SizeRw and SizeRootFs in bytes; walks the writable layer."""
    try:
        own = services.snapshotter.usage(container.id).size_bytes
    except SnapshotNotFound:
        own = 0  # being removed
    try:
        image = services.images.resolve(container.record.image_id).size_bytes
    except ImageNotFound:
        image = 0  # removed by force while the container kept its layers
    return own, own + image

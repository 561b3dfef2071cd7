"""The whole file system of a container as a tar: ``docker export``. Volumes are not part of it."""

from collections.abc import Callable
from typing import Any, BinaryIO, cast

from wherry.containers.container import Container
from wherry.containers.container_events import publish
from wherry.containers.root import running_root
from wherry.containers.services import Services
from wherry.containers.tree_tar import write_tree


class Export:
    """A checked request; ``write_to`` once."""

    def __init__(self, services: Services, container: Container) -> None:
        self._services = services
        self._container = container

    def write_to(self, write: Callable[[bytes], Any]) -> None:
        """Write the tar."""
        if self._container.running:
            # An overlay must not be mounted twice at a time: read through the container's own mount, one file
            # system deep.
            with running_root(self._container) as root_fd:
                write_tree(root_fd, ".", b"", write, one_file_system=True)
        else:
            self._services.snapshotter.write_tree(self._container.id, cast(BinaryIO, _Out(write)))
        publish(self._services.events, self._container, "export")


class _Out:
    def __init__(self, write: Callable[[bytes], Any]) -> None:
        self.write = write

    def flush(self) -> None:
        """Nothing is buffered."""


def open_export(services: Services, reference: str) -> Export:
    """NotFound when there is no such container."""
    return Export(services, services.containers.get(reference))

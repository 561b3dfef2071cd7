"""What a container changed in its file system."""

import os
from typing import Any

from wherry.containers.services import Services


def changes(services: Services, reference: str) -> list[dict[str, Any]]:
    """Docker's FilesystemChange objects, sorted by path."""
    container = services.containers.get(reference)
    return [
        {"Path": os.fsdecode(change.path).encode("utf-8", "replace").decode(), "Kind": int(change.kind)}
        for change in services.snapshotter.changes(container.id)
    ]

"""Docker's ImageManifestSummary: what ``manifests=1`` adds to the list and to an inspection.

Of every image one platform is here, so it is a list of one.
"""

from typing import Any

from wherry.images.image import Image
from wherry.images.store import ImageRecord
from wherry.images.stores import Stores
from wherry.oci.digest import Digest
from wherry.oci.platform import Platform


def descriptor(image: Image, stores: Stores) -> dict[str, Any]:
    """The image's manifest as the API describes content."""
    return {
        "mediaType": image.manifest_media_type,
        "digest": image.manifest_digest,
        "size": stores.content.size(image.manifest_digest),
    }


def manifests(image: Image, record: ImageRecord, stores: Stores) -> list[dict[str, Any]]:
    """Sizes in bytes: ``Content`` of the blobs as they are stored, ``Unpacked`` of the layers."""
    blobs = {image.manifest_digest, Digest(image.id), *(layer.blob_digest for layer in record.layers)}
    content = sum(stores.content.size(blob) for blob in blobs)
    return [
        {
            "ID": image.manifest_digest,
            "Descriptor": descriptor(image, stores),
            "Available": True,
            "Size": {"Content": content, "Total": content + image.size_bytes},
            "Kind": "image",
            "ImageData": {
                "Platform": _platform(image.config.platform),
                "Containers": [use.id for use in stores.containers_using(image.id)],
                "Size": {"Unpacked": image.size_bytes},
            },
        }
    ]


def _platform(platform: Platform) -> dict[str, str]:
    fields = {"architecture": platform.architecture, "os": platform.os, "variant": platform.variant}
    return {name: value for name, value in fields.items() if value or name != "variant"}

"""What a manifest may announce: checked before anything that it names is fetched."""

from wherry.errors import InvalidParameter
from wherry.oci import media_types
from wherry.oci.manifest import InvalidManifest, Manifest
from wherry.settings import Settings
from wherry.snapshots.snapshotter import LayerRejected


class ForeignLayerRefused(InvalidParameter):
    """A layer that lives at a URL outside the registry (S10)."""


def check_media_types(manifest: Manifest) -> None:
    """Only images, and only layers that the registry itself has (InvalidManifest, ForeignLayerRefused)."""
    if manifest.config.media_type not in media_types.CONFIGS:
        raise InvalidManifest(
            f'encountered remote "{manifest.config.media_type[:200]}"(unknown) when fetching: not a container image'
        )
    for layer in manifest.layers:
        if layer.urls or layer.media_type in media_types.FOREIGN_LAYERS:
            raise ForeignLayerRefused(f"refuse layer {layer.digest}: it is to be fetched from outside the registry")
        if layer.media_type not in media_types.LAYERS:
            raise InvalidManifest(f"unsupported layer media type {layer.media_type[:200]!r}")


def check_sizes(manifest: Manifest, settings: Settings) -> None:
    """What is announced may be too much already (S18, LayerRejected). A compressed layer counts like a plain one."""
    sizes = [layer.size for layer in manifest.layers]
    if max(sizes, default=0) > settings.max_layer_size_bytes:
        raise LayerRejected(f"a layer of {max(sizes)} bytes is larger than {settings.max_layer_size_bytes} bytes")
    if sum(sizes) > settings.max_image_size_bytes:
        raise LayerRejected(f"an image of {sum(sizes)} bytes is larger than {settings.max_image_size_bytes} bytes")

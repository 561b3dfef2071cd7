"""The image config (OCI config.md) with the fields that Docker adds to it."""

from typing import Any, Final

import msgspec

from wherry.errors import InvalidParameter
from wherry.oci import codec
from wherry.oci.digest import DiffId, is_digest
from wherry.oci.platform import Platform, normalise

RESERVED_LABEL_PREFIX: Final = "io.wherry."
"""Labels by which the engine marks its own objects. An image may not carry them (S16)."""


class InvalidImageConfig(InvalidParameter):
    """A config that is not an image's, or does not fit its manifest."""


class Healthcheck(msgspec.Struct, frozen=True, rename="pascal", omit_defaults=True):
    """How to test that a container is healthy. Durations in nanoseconds; 0 inherits the default."""

    test: tuple[str, ...] | None = None
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class ContainerConfig(msgspec.Struct, frozen=True, kw_only=True, rename="pascal", omit_defaults=True):
    """Defaults for the containers of an image. ``None`` and empty both mean "not set"."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] | None = None
    env: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    healthcheck: Healthcheck | None = None
    args_escaped: bool = False
    volumes: dict[str, dict[str, Any]] | None = None
    working_dir: str = ""
    on_build: tuple[str, ...] | None = None
    labels: dict[str, str] | None = None
    stop_signal: str = ""
    shell: tuple[str, ...] | None = None


class RootFS(msgspec.Struct, frozen=True):
    """The layers, base first, by the digest of their uncompressed tar."""

    type: str
    diff_ids: tuple[DiffId, ...] | None = None


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of an image's making; ``empty_layer`` steps have no entry in ``rootfs.diff_ids``."""

    created: str | None = None
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    rename={"os_version": "os.version", "os_features": "os.features"},
    omit_defaults=True,
):
    """An image's config document. Its digest is the image's id."""

    architecture: str = ""
    variant: str = ""
    os: str = ""
    os_version: str = ""
    os_features: tuple[str, ...] | None = None
    created: str | None = None
    author: str = ""
    comment: str = ""
    docker_version: str = ""
    container: str = ""
    """Of a committed image, as Docker writes it: the container's id, and its config below."""
    container_config: dict[str, Any] | None = None
    config: ContainerConfig | None = None
    rootfs: RootFS
    history: tuple[History, ...] | None = None

    @property
    def platform(self) -> Platform:
        """The platform it is for, normalised."""
        return normalise(Platform(self.architecture, self.os, self.variant, self.os_version, self.os_features))

    @property
    def diff_ids(self) -> tuple[DiffId, ...]:
        """The layers, base first."""
        return self.rootfs.diff_ids or ()

    @property
    def defaults(self) -> ContainerConfig:
        """The container defaults, empty when the image has none."""
        return self.config if self.config is not None else ContainerConfig()


def decode_image_config(data: bytes) -> ImageConfig:
    """Decode a config; labels of the reserved namespace are dropped from the result (not from the blob)."""
    config = codec.decode(data, ImageConfig, what="image config")
    if config.rootfs.type != "layers":
        raise InvalidImageConfig(f"image config has rootfs of unknown type {config.rootfs.type[:50]!r}")
    for diff_id in config.diff_ids:
        if not is_digest(diff_id):
            raise InvalidImageConfig(f"image config has an invalid diff_id {diff_id[:100]!r}")
    labels = config.defaults.labels
    if config.config is not None and labels and any(key.startswith(RESERVED_LABEL_PREFIX) for key in labels):
        kept = {key: value for key, value in labels.items() if not key.startswith(RESERVED_LABEL_PREFIX)}
        config = msgspec.structs.replace(config, config=msgspec.structs.replace(config.config, labels=kept))
    return config


def check_layer_count(config: ImageConfig, layers: int) -> None:
    """The manifest's layers and the config's diff_ids (and history, if any) must agree in number (S07)."""
    if len(config.diff_ids) != layers:
        raise InvalidImageConfig(
            f"image config lists {len(config.diff_ids)} diff_ids for {layers} layers of the manifest"
        )
    if config.history is not None:
        filled = sum(not step.empty_layer for step in config.history)
        if filled != layers and config.history:
            raise InvalidImageConfig(f"image config's history has {filled} layers, its manifest {layers}")

"""Docker's ``GET /images/{name}/json`` and ``/history``."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from wherry.images.image import Image
from wherry.images.list import created_at, timestamp
from wherry.images.manifest_summary import descriptor
from wherry.images.stores import Stores
from wherry.oci.image_config import ContainerConfig

_ZERO_TIME = "0001-01-01T00:00:00Z"


def inspect(image: Image, stores: Stores) -> dict[str, Any]:
    """All fields of ImageInspect."""
    config = image.config
    document: dict[str, Any] = {
        "Id": image.id,
        "RepoTags": list(image.repo_tags),
        "RepoDigests": list(image.repo_digests),
        "Parent": image.parent_id,
        "Comment": _comment(image),
        "Created": config.created or _ZERO_TIME,
        "Container": config.container,
        "ContainerConfig": config.container_config or container_config(ContainerConfig()),
        "DockerVersion": config.docker_version,
        "Author": config.author,
        "Config": container_config(config.defaults),
        "Architecture": config.architecture,
        "Os": config.os,
        "Size": image.size_bytes,
        "VirtualSize": image.size_bytes,
        "GraphDriver": {"Name": stores.snapshotter.name, "Data": _graph_data(image, stores)},
        "RootFS": {"Type": "layers", "Layers": list(config.diff_ids)},
        "Metadata": {"LastTagTime": _rfc3339(image.tagged_at) if image.tagged_at else _ZERO_TIME},
        "Descriptor": descriptor(image, stores),
    }
    if config.variant:
        document["Variant"] = config.variant
    if config.os_version:
        document["OsVersion"] = config.os_version
    return document


def history(image: Image, stores: Stores) -> list[dict[str, Any]]:
    """The steps of an image's making, newest first; sizes of its layers, base last."""
    sizes = stores.layer_sizes()
    remaining = list(image.chain_ids)
    steps: list[dict[str, Any]] = []
    for step in image.config.history or ():
        size = 0
        if not step.empty_layer and remaining:
            size = sizes.get(remaining.pop(0), 0)
        steps.append(
            {
                "Id": "<missing>",
                "Created": int(timestamp(step.created)),
                "CreatedBy": step.created_by,
                "Tags": None,
                "Size": size,
                "Comment": step.comment,
            }
        )
    for chain_id in remaining:  # layers without a history of their own
        steps.append(_bare_step(image, sizes.get(chain_id, 0)))
    if not steps:
        steps.append(_bare_step(image, 0))
    steps[-1].update(Id=image.id, Tags=list(image.repo_tags) or None)
    return steps[::-1]


def container_config(config: ContainerConfig) -> dict[str, Any]:
    """The ``Config`` object with every field that Docker's clients look for."""
    document: dict[str, Any] = {
        "Hostname": "",
        "Domainname": "",
        "User": config.user,
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": _list(config.env),
        "Cmd": _list(config.cmd),
        "Image": "",
        "Volumes": config.volumes,
        "WorkingDir": config.working_dir,
        "Entrypoint": _list(config.entrypoint),
        "OnBuild": _list(config.on_build),
        "Labels": config.labels,
    }
    if config.exposed_ports:
        document["ExposedPorts"] = config.exposed_ports
    if config.healthcheck is not None:
        check = msgspec.to_builtins(config.healthcheck)
        document["Healthcheck"] = {**check, "Test": _list(config.healthcheck.test)}
    if config.args_escaped:
        document["ArgsEscaped"] = True
    if config.stop_signal:
        document["StopSignal"] = config.stop_signal
    if config.shell:
        document["Shell"] = list(config.shell)
    return document


def _bare_step(image: Image, size: int) -> dict[str, Any]:
    return {
        "Id": "<missing>",
        "Created": int(created_at(image)),
        "CreatedBy": "",
        "Tags": None,
        "Size": size,
        "Comment": "",
    }


def _comment(image: Image) -> str:
    if image.config.comment or not image.config.history:
        return image.config.comment
    return image.config.history[-1].comment


def _graph_data(image: Image, stores: Stores) -> dict[str, str]:
    if not image.chain_ids:
        return {}
    layers = stores.snapshotter.view_layers(image.chain_ids[-1])
    data = {"UpperDir": layers[0]}
    if layers[1:]:
        data["LowerDir"] = ":".join(layers[1:])
    return data


def _list(values: tuple[str, ...] | None) -> list[str] | None:
    return list(values) if values is not None else None


def _rfc3339(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat().replace("+00:00", "Z")

"""Create a container: validate everything, then make it whole or not at all.

Order of the effects: name (memory) → data directory → snapshot → volumes → the row, the one durable commit.
Before the row nothing counts: recovery removes directories and snapshots that no row names (R01).
"""

import os
import shutil
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from wherry.containers import defaults, image_defaults, mounts, security_options, validate
from wherry.containers.config import ContainerConfig, EndpointSettings, HostConfig, NetworkingConfig, argv
from wherry.containers.container import Container, MountPoint, Record, now_ns
from wherry.containers.container_events import publish
from wherry.containers.data_dir import data_dir, make_data_dir
from wherry.containers.endpoints import check_endpoints
from wherry.containers.links import check_links
from wherry.containers.names import check_name, random_id, random_name
from wherry.containers.services import Services
from wherry.errors import Conflict, InvalidParameter, NotFound
from wherry.images.image import Image
from wherry.network.store import NetworkRecord
from wherry.oci import platform as platforms
from wherry.security import sysctls
from wherry.snapshots.chain_id import ChainId
from wherry.volumes.copy_up import copy_up

# A label or annotation of this name makes every start begin from the image again.
EPHEMERAL = "io.wherry.ephemeral"
_RANDOM_NAME_TRIES = 10


@dataclass(frozen=True, slots=True)
class Created:
    """The new container's id and what the user should know."""

    id: str
    warnings: list[str]


def create(
    services: Services,
    *,
    name: str = "",
    config: ContainerConfig,
    host_config: HostConfig,
    networking_config: NetworkingConfig | None = None,
    platform: str | None = None,
) -> Created:
    """Make a container from an image. InvalidParameter, ImageNotFound, Conflict (the name) leave nothing behind."""
    bare_name = check_name(name) if name else ""
    validate.check_config(config)
    image = services.images.resolve(config.image, platforms.parse(platform) if platform else None)
    image_defaults.merge(config, image.config.defaults)
    validate.check_config(config)
    defaults.fill(host_config, services.settings)
    networks = _endpoints(services, host_config, networking_config)
    warnings = validate.check_host(host_config, config, services.settings)
    sysctls.validate(host_config.sysctls or {}, _own_namespaces(host_config), hostname=True)
    security_options.parse(host_config.security_opt)
    _check_joined(services, host_config)
    points = mounts.collect(config, host_config, services.containers)
    record = _record(services, config, host_config, image, networks, points)
    with ExitStack() as undo:
        _reserve_name(services, undo, record, bare_name)
        undo.callback(_discard_directory, services, record.id)
        make_data_dir(services.settings, record.id)
        undo.callback(services.snapshotter.remove, record.id)
        services.snapshotter.prepare(record.id, _chain_id(image))
        _make_volumes(services, record, undo)
        container = Container(record)
        services.containers.add(container)
        undo.pop_all()
    publish(services.events, container, "create")
    return Created(record.id, warnings)


def _endpoints(
    services: Services, host: HostConfig, networking: NetworkingConfig | None
) -> dict[str, EndpointSettings]:
    wanted = (networking.endpoints_config if networking else None) or {}
    endpoints = {
        ("bridge" if name == "default" else name): value or EndpointSettings() for name, value in wanted.items()
    }
    if host.network_mode.startswith("container:") or host.network_mode in ("host", "none"):
        if set(endpoints) - {host.network_mode}:
            raise InvalidParameter(
                "conflicting options: cannot attach both user-defined and non-user-defined network-modes"
            )
        return endpoints
    known = _known(services, (*endpoints, host.network_mode))
    # By the network's name, whatever it was called by; an unknown one is an error of the start.
    named = {known[name].name if name in known else name: endpoint for name, endpoint in endpoints.items()}
    named.setdefault(known[host.network_mode].name if host.network_mode in known else host.network_mode,
                     EndpointSettings())  # fmt: skip
    check_endpoints(named, {record.name: record for record in known.values()})
    return named


def _known(services: Services, names: Iterable[str]) -> dict[str, NetworkRecord]:
    found = {}
    for name in names:
        try:
            found[name] = services.networks.find(name)
        except NotFound:
            continue
    return found


def _own_namespaces(host: HostConfig) -> list[str]:
    modes = {"network": host.network_mode, "ipc": host.ipc_mode, "uts": host.uts_mode}
    return [kind for kind, mode in modes.items() if mode != "host" and not mode.startswith("container:")]


def _check_joined(services: Services, host: HostConfig) -> None:
    """The containers whose namespaces, volumes or names are used must exist; they need to run only at the start.

    Never NotFound, as in Docker: its CLI takes any 404 of the creation for a missing image and goes to pull it.
    For the same reason an unknown network is an error of the start.
    """
    for mode in (host.network_mode, host.pid_mode, host.ipc_mode):
        kind, separator, reference = mode.partition(":")
        if separator and kind == "container":
            _existing(services, reference)
    check_links(services, host)
    for source in host.volumes_from or ():
        _existing(services, source.split(":", 1)[0])


def _existing(services: Services, reference: str) -> None:
    if not reference:
        raise InvalidParameter('invalid name or ID supplied: ""')
    try:
        services.containers.get(reference)
    except NotFound as exc:
        raise InvalidParameter(exc.message) from exc


def _record(
    services: Services,
    config: ContainerConfig,
    host: HostConfig,
    image: Image,
    networks: dict[str, EndpointSettings],
    points: list[MountPoint],
) -> Record:
    container_id = random_id()
    if not config.hostname and host.uts_mode != "host" and not host.network_mode.startswith("container:"):
        config.hostname = os.uname().nodename if host.network_mode == "host" else container_id[:12]
    command = [*argv(config.entrypoint), *argv(config.cmd)]
    marked = {**(config.labels or {}), **(host.annotations or {})}.get(EPHEMERAL, "")
    return Record(
        id=container_id,
        name="",
        created_ns=now_ns(),
        image_id=image.id,
        chain_id=image.chain_id or "",
        platform=image.config.os or "linux",
        path=command[0],
        args=command[1:],
        config=config,
        host_config=host,
        networks=networks,
        mounts=points,
        ephemeral=marked.lower() in ("1", "true"),
    )


def _chain_id(image: Image) -> ChainId | None:
    return ChainId(image.chain_id) if image.chain_id else None


def _reserve_name(services: Services, undo: ExitStack, record: Record, wanted: str) -> None:
    record.name = wanted or _free_name(services, record.id)
    if wanted:
        services.containers.reserve_name(wanted, record.id)
    undo.callback(services.containers.release_name, record.name)


def _free_name(services: Services, container_id: str) -> str:
    for attempt in range(_RANDOM_NAME_TRIES):
        candidate = random_name() + (str(attempt) if attempt > 2 else "")
        try:
            services.containers.reserve_name(candidate, container_id)
        except Conflict:
            continue
        return candidate
    services.containers.reserve_name(container_id[:12], container_id)
    return container_id[:12]


def _discard_directory(services: Services, container_id: str) -> None:
    shutil.rmtree(data_dir(services.settings, container_id), ignore_errors=True)


def _make_volumes(services: Services, record: Record, undo: ExitStack) -> None:
    fill: list[MountPoint] = []
    for point in record.mounts:
        if point.type != "volume":
            continue
        mount = next(
            (m for m in record.host_config.mounts or () if m.type == "volume" and m.target == point.destination), None
        )
        options = mount.volume_options if mount else None
        volume = services.volumes.create(
            point.name,
            point.driver,
            options.labels if options else None,
            options.driver_config.options if options and options.driver_config else None,
            anonymous=point.anonymous,
            user=record.id,
        )
        if point.anonymous and not point.name:  # one that has a name is another container's (--volumes-from)
            undo.callback(services.volumes.remove, volume.name, force=True)
        undo.callback(services.volumes.release, volume.name, record.id)
        point.name, point.source = volume.name, volume.mountpoint
        if not point.no_copy:
            fill.append(point)
    if fill:
        _copy_up(services, record.id, fill)


def _copy_up(services: Services, container_id: str, points: Sequence[MountPoint]) -> None:
    with services.snapshotter.mounted(container_id, readonly=True) as root_fd:
        for point in points:
            services.volumes.fill(point.name, container_id, partial(copy_up, root_fd, point.destination))

"""A new image from a container's changes."""

from collections.abc import Sequence

from wherry.containers.config import ContainerConfig, argv
from wherry.containers.container import Container, Status
from wherry.containers.container_events import publish
from wherry.containers.inspect import config as shown_config
from wherry.containers.services import Services
from wherry.errors import Conflict
from wherry.images.changes import apply_changes
from wherry.monitor.client import MonitorConnection, MonitorGone
from wherry.oci.image_config import ContainerConfig as ImageDefaults
from wherry.oci.image_config import Healthcheck


def commit(
    services: Services,
    reference: str,
    *,
    repository: str = "",
    tag: str = "",
    author: str = "",
    comment: str = "",
    pause: bool = True,
    changes: Sequence[str] = (),
    config: ContainerConfig | None = None,
) -> str:
    """The new image's id. A running container is frozen meanwhile, unless ``pause`` is false."""
    container = services.containers.get(reference)
    with container.verb:
        if container.removed or container.state.status in (Status.REMOVING, Status.DEAD):
            raise Conflict(f"You cannot commit container {container.id} which is being removed")
        frozen = _freeze(container) if pause else None
        try:
            image = services.images.commit(
                base=services.images.resolve(container.record.image_id),
                write_diff=lambda out: services.snapshotter.write_diff(container.id, out),
                config=apply_changes(_defaults(container, config), changes),
                created_by=" ".join((container.record.path, *container.record.args)),
                author=author,
                comment=comment,
                reference=_reference(repository, tag),
                container=container.id,
                container_config=shown_config(container.record.config),
            )
        finally:
            if frozen is not None:
                _thaw(frozen)
    publish(services.events, container, "commit", {"comment": comment, "imageID": image.id})
    return image.id


def _freeze(container: Container) -> MonitorConnection | None:
    """The monitor of a container that was frozen; None for one that does not run, or ends just now."""
    connection = container.connection
    if connection is None or container.state.status is not Status.RUNNING:
        return None
    try:
        connection.pause()
    except (MonitorGone, Conflict):
        return None  # over: nothing changes its files any more
    return connection


def _thaw(connection: MonitorConnection) -> None:
    try:
        connection.resume()
    except (MonitorGone, Conflict):
        pass  # killed or thawed by somebody else meanwhile


def _reference(repository: str, tag: str) -> str:
    return f"{repository}:{tag}" if repository and tag else repository


def _defaults(container: Container, given: ContainerConfig | None) -> ImageDefaults:
    own = container.record.config
    config = given if given is not None and (given.cmd or given.entrypoint or given.env or given.labels) else own
    health = config.healthcheck
    return ImageDefaults(
        user=config.user,
        exposed_ports={key: {} for key in config.exposed_ports or ()} or None,
        env=tuple(config.env or ()) or None,
        entrypoint=tuple(argv(config.entrypoint)) or None,
        cmd=tuple(argv(config.cmd)) or None,
        healthcheck=Healthcheck(
            test=tuple(health.test or ()),
            interval=health.interval,
            timeout=health.timeout,
            start_period=health.start_period,
            start_interval=health.start_interval,
            retries=health.retries,
        )
        if health is not None
        else None,
        volumes={key: {} for key in config.volumes or ()} or None,
        working_dir=config.working_dir,
        on_build=tuple(config.on_build or ()) or None,
        labels=config.labels or None,
        stop_signal=config.stop_signal,
        shell=tuple(config.shell or ()) or None,
    )

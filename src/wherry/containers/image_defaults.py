"""Merge an image's defaults into a container's config, as dockerd does (moby ``daemon/commit.go`` ``merge``)."""

from wherry.containers.config import ContainerConfig, HealthConfig, argv
from wherry.errors import InvalidParameter
from wherry.oci.image_config import ContainerConfig as ImageDefaults


def merge(config: ContainerConfig, image: ImageDefaults) -> None:
    """Complete ``config`` in place. Raises InvalidParameter when no command is left."""
    config.user = config.user or image.user
    config.working_dir = config.working_dir or image.working_dir
    config.stop_signal = config.stop_signal or image.stop_signal
    config.shell = config.shell or (list(image.shell) if image.shell else None)
    config.env = _merge_env(config.env or [], image.env or ())
    config.labels = {**(image.labels or {}), **(config.labels or {})}
    if image.exposed_ports:
        config.exposed_ports = {**image.exposed_ports, **(config.exposed_ports or {})}
    if not config.volumes:
        config.volumes = dict(image.volumes) if image.volumes else None
    elif image.volumes:
        config.volumes = {**image.volumes, **(config.volumes or {})}
    _merge_command(config, image)
    _merge_healthcheck(config, image)


def _merge_env(own: list[str], inherited: tuple[str, ...] | list[str]) -> list[str]:
    names = {entry.partition("=")[0] for entry in own}
    return own + [entry for entry in inherited if entry.partition("=")[0] not in names]


def _merge_command(config: ContainerConfig, image: ImageDefaults) -> None:
    config.cmd = None if config.cmd is None else argv(config.cmd)
    config.entrypoint = None if config.entrypoint is None else argv(config.entrypoint)
    if not config.entrypoint:
        if not config.cmd:
            config.cmd = list(image.cmd) if image.cmd else config.cmd
            config.args_escaped = image.args_escaped
        if config.entrypoint is None and image.entrypoint:
            config.entrypoint = list(image.entrypoint)
    if config.entrypoint == [""]:
        # The client asked for no entry point at all, not even the image's.
        config.entrypoint = None
    if not argv(config.entrypoint) and not argv(config.cmd):
        raise InvalidParameter("no command specified")


def _merge_healthcheck(config: ContainerConfig, image: ImageDefaults) -> None:
    inherited = image.healthcheck
    if inherited is None:
        return
    own = config.healthcheck
    if own is None:
        own = config.healthcheck = HealthConfig()
    if not own.test:
        own.test = list(inherited.test or ())
    own.interval = own.interval or inherited.interval
    own.timeout = own.timeout or inherited.timeout
    own.start_period = own.start_period or inherited.start_period
    own.start_interval = own.start_interval or inherited.start_interval
    own.retries = own.retries or inherited.retries

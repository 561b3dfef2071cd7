"""Start a container: network, files, spec, monitor; rolled back whole when a step fails.

Nothing but the state is durable, and an auto-removed container does not even write that: its monitor is the
truth while it runs, and it does not outlive a reboot.
"""

import os
from contextlib import ExitStack
from typing import Any

from wherry.containers import lifecycle
from wherry.containers.adoption import write_adoption
from wherry.containers.attach_parking import take_parked
from wherry.containers.container import Container, Status, Trigger, now_ns
from wherry.containers.container_events import publish
from wherry.containers.data_dir import data_dir, log_path, run_dir
from wherry.containers.dns_plan import dns_plan
from wherry.containers.endpoints import endpoint_requests, network_mode
from wherry.containers.links import linked_environment, linked_hosts
from wherry.containers.network_files import write_network_files
from wherry.containers.ports import exposed_ports, parse_port_bindings
from wherry.containers.root import account_files, make_working_directory
from wherry.containers.services import Services
from wherry.containers.shm import mount_shm, unmount_shm
from wherry.containers.signals import DEFAULT_STOP_SIGNAL, parse_signal
from wherry.containers.spec import SpecInputs, build_spec
from wherry.containers.user import resolve as resolve_user
from wherry.errors import Conflict, InvalidParameter, NotModified, System, Unavailable, WherryError
from wherry.linux.boot import boot_id
from wherry.log import get_logger
from wherry.logs import options as log_options
from wherry.network.controller import Attachment
from wherry.network.ipam import PoolExhausted
from wherry.network.ports import PortBinding, PortUnavailable
from wherry.runtime.failure import StartFailed
from wherry.snapshots.chain_id import ChainId
from wherry.snapshots.subpath import subpath

_logger = get_logger(__name__)

# Clients look for what follows it; dockerd's chain of components is part of the text that scripts match.
_RUNTIME_PREFIX = (
    "failed to create task for container: failed to create shim task: OCI runtime create failed: "
    "runc create failed: unable to start container process: error during container init: "
)
_EXIT_UNKNOWN = 128
_RELEASE_SECONDS = 20.0
_ENDINGS_SECONDS = 2.0


def start(services: Services, reference: str) -> None:
    """Start a container that is not running. NotModified when it runs, Conflict when paused or being removed;
    what keeps the process from starting is InvalidParameter (its command) or System, and stays in the state."""
    container = services.containers.get(reference)
    with container.verb:
        start_locked(services, container)


def start_locked(services: Services, container: Container) -> None:
    """As ``start``; the caller holds the container's verb lock."""
    _check_startable(container)
    if not lifecycle.wait_until_released(container, _RELEASE_SECONDS):
        raise Unavailable(f"start container {container.id}: what is left of its last run does not end")
    try:
        _start(services, container)
    except WherryError as exc:
        error = _translate(exc)
        _record_failure(services, container, exc, error)
        raise error from exc
    except Exception as exc:
        # The kernel's refusal, or a bug: the container must not stay half started, nor its --rm be forgotten.
        _logger.exception("start container %s", container.id)
        error = System(f"start container {container.id}: {exc}")
        _record_failure(services, container, error, error)
        raise error from exc


def _check_startable(container: Container) -> None:
    status = container.state.status
    if status is Status.PAUSED:
        raise Conflict("cannot start a paused container, try unpause instead")
    if status in (Status.RUNNING, Status.RESTARTING):
        raise NotModified(f"container {container.id} is already running")
    if container.removed or status in (Status.REMOVING, Status.DEAD):
        raise Conflict("container is marked for removal and cannot be started")


def _start(services: Services, container: Container) -> None:
    record = container.record
    host = record.host_config
    volatile = host.auto_remove or record.ephemeral
    if record.ephemeral and record.state.started_at_ns:
        services.snapshotter.remove(record.id)
        services.snapshotter.prepare(record.id, ChainId(record.chain_id) if record.chain_id else None)
    overlay = services.snapshotter.overlay(record.id, volatile=volatile, readonly=host.readonly_rootfs)
    user = resolve_user(
        record.config.user, host.group_add or (), account_files(services, container, overlay["upper"])
    )
    if record.config.working_dir.strip("/"):
        make_working_directory(services, container, record.config.working_dir)
    joined = _joined_containers(services, container)
    with ExitStack() as undo:
        attachment = _attach(services, container, joined)
        undo.callback(services.networks.detach, record.id)
        undo.callback(attachment.close)
        attachment.plan["dns"] = dns_plan(services, record, attachment.endpoints)
        directory = run_dir(services.settings, record.id)
        undo.callback(lifecycle.discard_run_dir, services, container)
        undo.callback(lifecycle.unmount_volumes, services, container)
        for point in record.mounts:
            if point.type == "volume":
                services.volumes.mount(point.name, record.id)
        os.makedirs(directory, mode=0o700, exist_ok=True)
        write_adoption(directory, settings_of(attachment))
        shared = joined.get("network")
        inputs = SpecInputs(
            settings=services.settings,
            user=user,
            files=write_network_files(
                services.settings,
                record,
                addresses=attachment.addresses,
                gateway=attachment.gateway or services.networks.gateway,
                joined=shared.record if shared is not None else None,
                linked=linked_hosts(services, record),
            ),
            joined={kind: other.state.pid for kind, other in joined.items()},
            environment=linked_environment(services, record),
            image_mounts=_image_mounts(services, container),
            shm_source=_shm_source(services, container, joined.get("ipc"), undo),
        )
        request = _start_request(services, container, build_spec(record, inputs), dict(overlay), attachment)
        parked = take_parked(container)
        try:
            connection = services.zygote.spawn(
                request,
                listeners=[port.listener.fileno() for port in attachment.listeners],
                attach=[(client.fd, client.options) for client in parked],
            )
        finally:
            for client in parked:
                client.close()
        undo.pop_all()
        try:
            started = connection.start()
        except BaseException:
            # The monitor frees everything and hangs up; what it used is free again when the caller reads the error.
            lifecycle.wait_for_end(connection, _RELEASE_SECONDS)
            services.networks.detach(record.id)
            lifecycle.unmount_volumes(services, container)
            attachment.close()
            raise
    attachment.close()
    with container.changed:
        state = record.state
        state.pid = int(started["pid"])
        state.started_at_ns = lifecycle.nanoseconds(started["started_at"]) or now_ns()
        state.exit_code, state.error, state.oom_killed = 0, "", False
        state.restart_count, state.manually_stopped, state.boot_id = 0, False, boot_id()
        record.network_settings = {
            "Ports": attachment.ports,
            "Networks": attachment.endpoints,
            "plan": attachment.plan,
        }
        container.health = lifecycle.first_health(record)
        container.connection = connection
        container.move(Trigger.START)
    if not host.auto_remove:
        services.containers.save(container)
    # Before its death can be told.
    publish(services.events, container, "start", told_ns=int(started.get("at_ns", 0)))
    lifecycle.watch(services, container, connection)


def settings_of(attachment: Attachment) -> dict[str, Any]:
    """What is kept of an attachment: for inspect, and for the engine that comes after this one."""
    return {"Ports": attachment.ports, "Networks": attachment.endpoints, "plan": attachment.plan}


def _joined_containers(services: Services, container: Container) -> dict[str, Container]:
    host = container.record.host_config
    result = {}
    for kind, mode in (("network", host.network_mode), ("pid", host.pid_mode), ("ipc", host.ipc_mode)):
        word, separator, reference = mode.partition(":")
        if not separator or word != "container":
            continue
        other = services.containers.get(reference)
        if not other.running:
            raise Conflict(f"cannot join {kind} namespace of a non running container: container {other.id} is "
                           f"{other.state.status}")  # fmt: skip
        if other is container:
            raise InvalidParameter(f"cannot join own {kind} namespace")
        if kind == "ipc" and other.record.host_config.ipc_mode != "shareable":
            raise InvalidParameter(
                f"can't join IPC of container {other.id}: non-shareable IPC (hint: use IpcMode:shareable for the "
                "donor container)"
            )
        result[kind] = other
    return result


def _attach(services: Services, container: Container, joined: dict[str, Container]) -> Attachment:
    record = container.record
    host = record.host_config
    bindings = parse_port_bindings(host.port_bindings)
    exposed = exposed_ports({**(record.config.exposed_ports or {}), **(host.port_bindings or {})})
    if host.publish_all_ports:
        bound = {f"{binding.container_port}/{binding.protocol}" for binding in bindings}
        bindings += [
            PortBinding(int(port), protocol, "", 0)
            for port, _, protocol in (entry.partition("/") for entry in exposed if entry not in bound)
        ]
    network = joined.get("network")

    def attach() -> Attachment:
        return services.networks.attach(
            record.id,
            name=record.name,
            mode=network_mode(record),
            ports=bindings,
            exposed=exposed,
            join_pid=network.state.pid if network else 0,
            endpoints=endpoint_requests(record),
        )

    ending = services.endings.pending()
    try:
        try:
            return attach()
        except (PortUnavailable, PoolExhausted):
            # A container that is just over may still hold what we want.
            if not services.endings.wait(ending, _ENDINGS_SECONDS):
                raise
            return attach()
    except System as exc:
        raise System(
            f"failed to set up container networking: driver failed programming external connectivity on endpoint "
            f"{record.name}: {exc.message}"
        ) from exc


def _image_mounts(services: Services, container: Container) -> dict[str, list[str]]:
    result = {}
    for point in container.record.mounts:
        if point.type == "image":
            image = services.images.resolve(point.source)
            if image.chain_id is None:
                raise InvalidParameter(f"image {point.source} has no layers to mount")
            layers = services.snapshotter.view_layers(ChainId(image.chain_id))
            try:
                result[point.destination] = subpath(layers, point.subpath) if point.subpath else layers
            except OSError as exc:
                raise InvalidParameter(
                    f"cannot access path {point.subpath} of image {point.source}: {(exc.strerror or '').lower()}"
                ) from exc
    return result


def _shm_source(services: Services, container: Container, donor: Container | None, undo: ExitStack) -> str:
    mode = container.record.host_config.ipc_mode
    if mode == "host":
        return "/dev/shm"
    if donor is not None:
        return f"{run_dir(services.settings, donor.id)}/shm"
    if mode != "shareable":
        return ""
    directory = run_dir(services.settings, container.id)
    undo.callback(unmount_shm, directory)
    return mount_shm(directory, container.record.host_config.shm_size)


def _start_request(
    services: Services, container: Container, spec: dict[str, Any], rootfs: dict[str, Any], attachment: Attachment
) -> dict[str, Any]:
    record, settings = container.record, services.settings
    config, host = record.config, record.host_config
    options = host.log_config.config or {}
    attributes = log_options.select_attributes(
        options,
        labels=config.labels or {},
        environment=dict(entry.split("=", 1) for entry in config.env or () if "=" in entry),
        tag=options.get("tag", ""),
    )
    runtime = None if host.runtime in ("wherry", "") else {"path": settings.runtimes[host.runtime]}
    stop_signal = parse_signal(config.stop_signal) if config.stop_signal else int(DEFAULT_STOP_SIGNAL)
    return {
        "id": record.id,
        "spec": spec,
        "bundle": run_dir(settings, record.id),
        "rootfs": rootfs,
        "terminal": config.tty,
        "open_stdin": config.open_stdin,
        "stdin_once": config.stdin_once,
        "log": {
            **log_options.validate(host.log_config.type, options),
            "path": log_path(settings, record.id, host.log_config.type),
            "attributes": attributes,
        },
        "restart": {"policy": host.restart_policy.name, "max_retries": host.restart_policy.maximum_retry_count},
        "stop_signal": stop_signal,
        "network": attachment.plan,
        "health": lifecycle.health_request(record),
        "init": settings.init if host.init is None else host.init,
        "data_dir": data_dir(settings, record.id),
        "run_dir": run_dir(settings, record.id),
        "runtime": runtime,
        "auto_remove": host.auto_remove,
    }


def _translate(exc: WherryError) -> WherryError:
    if not isinstance(exc, StartFailed):
        return exc
    message = f"{_RUNTIME_PREFIX}{exc.message}: unknown"
    # dockerd answers 400 when the command itself is at fault.
    return (InvalidParameter if exc.exit_code in (126, 127) else System)(message, hint=exc.hint)


def _record_failure(services: Services, container: Container, cause: WherryError, shown: WherryError) -> None:
    with container.lock:
        state = container.state
        state.exit_code = cause.exit_code if isinstance(cause, StartFailed) else _EXIT_UNKNOWN
        if state.exit_code == 125:
            state.exit_code = _EXIT_UNKNOWN
        state.error = shown.message
    if container.record.host_config.auto_remove:
        lifecycle.auto_remove(services, container)
    else:
        services.containers.save(container)

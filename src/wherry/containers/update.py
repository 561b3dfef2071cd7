"""Change limits and the restart policy of a container, running or not."""

import copy

from wherry.containers.config import HostConfig, Resources, UpdateRequest
from wherry.containers.container import Status
from wherry.containers.container_events import publish
from wherry.containers.restart_policy import check_restart_policy, restarts
from wherry.containers.services import Services
from wherry.containers.spec_resources import limits
from wherry.containers.validate_resources import check_resources
from wherry.errors import Conflict, InvalidParameter
from wherry.monitor.client import MonitorGone

# What an update may change; everything else of Resources belongs to the creation.
_CHANGEABLE = (
    "blkio_weight", "cpu_shares", "cpu_period", "cpu_quota", "cpu_realtime_period", "cpu_realtime_runtime",
    "cpuset_cpus", "cpuset_mems", "memory", "memory_swap", "memory_reservation", "nano_cpus",
)  # fmt: skip


def update(services: Services, reference: str, request: UpdateRequest) -> list[str]:
    """Zero and absent members stay as they are. Applied to the running container first, then durable."""
    container = services.containers.get(reference)
    policy = request.restart_policy
    if policy is not None and not policy.name:
        policy = None
    if policy is not None:
        check_restart_policy(policy)
    with container.verb:
        if container.state.status in (Status.REMOVING, Status.DEAD):
            raise Conflict('Container is marked for removal and cannot be "update".')
        host = container.record.host_config
        if policy is not None and restarts(policy) and host.auto_remove:
            raise InvalidParameter("Restart policy cannot be updated because AutoRemove is enabled for the container")
        changed = _merged(host, request)
        connection = container.connection
        if connection is not None and container.running:
            resources = limits(_only_limits(changed))
            if request.pids_limit is not None:
                resources["pids"] = {"limit": changed.pids_limit or services.settings.default_pids_limit}
            try:
                connection.update(resources)
                if policy is not None:
                    connection.set_restart(policy.name, policy.maximum_retry_count)
            except MonitorGone:
                pass  # it ended meanwhile: what is stored counts from the next start
        if policy is not None:
            changed.restart_policy = policy
        container.record.host_config = changed
        services.containers.save(container)
    publish(services.events, container, "update")
    return []


def _merged(host: HostConfig, request: UpdateRequest) -> HostConfig:
    check_resources(request, current=host)
    changed = copy.copy(host)
    for name in _CHANGEABLE:
        value = getattr(request, name)
        if value:
            setattr(changed, name, value)
    if request.nano_cpus:
        if host.cpu_period or host.cpu_quota:
            raise Conflict("Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set")
    elif (request.cpu_period or request.cpu_quota) and host.nano_cpus:
        raise Conflict("Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set")
    if request.memory and not request.memory_swap and host.memory_swap == 0:
        changed.memory_swap = request.memory * 2
    if request.pids_limit is not None:
        changed.pids_limit = None if request.pids_limit == 0 else max(request.pids_limit, -1)
    if request.oom_kill_disable is not None:
        changed.oom_kill_disable = request.oom_kill_disable
    return changed


def _only_limits(host: HostConfig) -> Resources:
    return Resources(**{name: getattr(host, name) for name in _CHANGEABLE})

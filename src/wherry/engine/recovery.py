"""Starting is recovering: the database says what should be, the monitors say what is, the rest is swept.

What monitors told meanwhile is published first, with its own times and in their order.
Nothing here knows whether the last engine ended or was killed (crash-only). Every step is idempotent: a kill in its
midst leaves work for the next start. Order: containers, then networks (which need the live plans), then sweeps, then
restarts by policy.
"""

import os
from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

from wherry.containers import lifecycle, removal
from wherry.containers.adoption import read_adoption
from wherry.containers.cgroup_sweep import kill_cgroup
from wherry.containers.container import Container, Status
from wherry.containers.data_dir import data_dir, run_dir
from wherry.containers.exec_store import adopt_execs
from wherry.containers.restart_policy import restarts
from wherry.engine.engine import Engine
from wherry.engine.sweep import sweep
from wherry.errors import WherryError
from wherry.linux.boot import boot_id
from wherry.log import get_logger
from wherry.monitor.client import MonitorConnection, MonitorGone
from wherry.monitor.exit_status import read_exit

_logger = get_logger(__name__)

_KILLED = 137
# moby: a container that a reboot ended.
_LOST = 255
_STATUS = {"running": Status.RUNNING, "paused": Status.PAUSED, "restarting": Status.RESTARTING}


def recover(engine: Engine) -> None:
    """Bring the memory in line with the world; once, before the API answers."""
    containers = engine.containers.load()
    for container in containers:
        for point in container.record.mounts:
            if point.type == "volume":
                engine.volumes.use(point.name, container.id)
    told: dict[str, list[dict[str, Any]]] = {}
    lost = [container for container in containers if not _adopt(engine, container, told)]
    live = [container for container in containers if container.connection is not None]
    _publish_missed(engine, containers, told)
    for container in live:
        if container.connection is not None:
            known = told[container.id][-1]["at_ns"] if told.get(container.id) else 0
            lifecycle.watch(engine.services, container, container.connection, known_until_ns=known)
    for container in live:
        for point in container.record.mounts:
            if point.type == "volume":
                engine.volumes.adopt_mount(point.name, container.id)
    engine.volumes.unmount_unused()
    engine.networks.start({c.id: c.record.network_settings.get("plan") or {"mode": "none"} for c in live})
    ended = [container for container in lost if _settle(engine, container)]
    sweep(engine, {container.id for container in live})
    for container in ended:
        _finish(engine, container)
    engine.workers.run(engine.volumes.sweep_trash)
    engine.workers.run(engine.images.recover)


def _publish_missed(
    engine: Engine, containers: Sequence[Container], told: Mapping[str, Sequence[dict[str, Any]]]
) -> None:
    missed = []
    for container in containers:
        events = told.get(container.id)
        if events is None:
            events = (_read_exit(engine, container) or {}).get("told", ())
        # An exit without a start is a start that failed, which its caller heard of.
        missed += [(event["at_ns"], container, event) for event in events if event.get("started_at", "-")]
    for _, container, event in sorted(missed, key=itemgetter(0)):
        lifecycle.publish_missed(engine.services, container, event)


def _adopt(engine: Engine, container: Container, told_events: dict[str, list[dict[str, Any]]]) -> bool:
    """Connect to the container's monitor and take its state, and what it told so far into ``told_events``; False when
    there is none. The caller watches it."""
    directory = run_dir(engine.settings, container.id)
    try:
        connection = MonitorConnection.connect(directory, container.id, engine.dispatcher)
        told = connection.state()
    except MonitorGone:
        return False
    except WherryError as exc:
        _logger.warning("ask monitor of container %s: %s", container.id[:12], exc)
        return False
    status = _STATUS.get(told["status"])
    if status is None:
        # Created and never started, or over and about to say so: let it end, then look at exit.json.
        _end_half_started(connection)
        return False
    state = container.state
    stored = (state.status, state.started_at_ns)
    state.status = status
    state.pid = int(told["pid"]) if status is not Status.RESTARTING else 0
    state.started_at_ns = lifecycle.nanoseconds(told["started_at"]) or state.started_at_ns
    state.restart_count = int(told["restart_count"])
    state.exit_code = int(told["exit_code"]) if status is Status.RESTARTING else 0
    state.oom_killed = bool(told["oom"])
    state.boot_id = boot_id()
    container.health = told["health"]
    container.record.network_settings = read_adoption(directory) or container.record.network_settings
    container.connection = connection
    if (state.status, state.started_at_ns) != stored and not container.record.host_config.auto_remove:
        engine.containers.save(container)  # the last engine died between the start and its commit
    adopt_execs(engine.services.execs, container, told.get("known_execs", {}))
    told_events[container.id] = told.get("told", [])
    return True


def _end_half_started(connection: MonitorConnection) -> None:
    try:
        connection.stop(9, 0)
    except WherryError:
        pass  # it was over already
    connection.close()


def _settle(engine: Engine, container: Container) -> bool:
    """Decide what became of a container without a monitor; True when its end has consequences to carry out."""
    state = container.state
    if state.status in (Status.REMOVING, Status.DEAD):
        return True
    told = _read_exit(engine, container)
    # Without a start it tells of a container that was made and never ran: its start did not happen.
    if (
        told is not None
        and told.get("started_at")
        and lifecycle.nanoseconds(told.get("finished_at") or "") > state.finished_at_ns
    ):
        _apply(engine, container, {**told, "restarting": False})
        return True
    if container.running:
        _apply(engine, container, {"code": _KILLED if state.boot_id == boot_id() else _LOST})
        return True
    # The start of an auto-removed container is not written down; what it left is (see ``_was_started``).
    return container.record.host_config.auto_remove and _was_started(engine, container)


def _apply(engine: Engine, container: Container, told: dict[str, Any]) -> None:
    state = container.state
    if not container.running:
        state.status = Status.RUNNING  # it ran although the row does not say so: the engine died before the commit
    if told.get("started_at"):
        state.started_at_ns = lifecycle.nanoseconds(told["started_at"])
    kill_cgroup(engine.settings, container.record)
    lifecycle.apply_exit(engine.services, container, told)


def _read_exit(engine: Engine, container: Container) -> dict[str, Any] | None:
    try:
        return read_exit(data_dir(engine.settings, container.id))
    except (ValueError, OSError) as exc:
        _logger.warning("read exit of container %s: %s", container.id[:12], exc)
        return None


def _was_started(engine: Engine, container: Container) -> bool:
    return os.path.exists(f"{data_dir(engine.settings, container.id)}/hosts")


def _finish(engine: Engine, container: Container) -> None:
    state = container.state
    lifecycle.discard_run_dir(engine.services, container)
    if state.status in (Status.REMOVING, Status.DEAD):
        state.status = Status.REMOVING
        removal.remove_locked(engine.services, container, volumes=False)
        return
    if container.record.host_config.auto_remove:
        lifecycle.auto_remove(engine.services, container)
        return
    policy = container.record.host_config.restart_policy
    if not restarts(policy) or (state.manually_stopped and policy.name != "always"):
        return
    # A monitor that ended by itself has applied the policy; only one that was killed, or the reboot, left it undone.
    killed = state.exit_code in (_KILLED, _LOST) and not state.manually_stopped
    if killed or state.boot_id != boot_id():
        engine.services.restart_later(container)

"""What a monitor tells becomes state, events and clean-up: exits, restarts, health, the monitor's own death.

Order at a container's end: the monitor records the exit (exit.json), tells us ``exited``, frees what it holds and
hangs up (``disconnected``). At the first waiters wake and an auto-removed container goes: ``run --rm`` does not
wait for the kernel. Addresses and ports are given back at the second, when nothing is left to collide with
(``endings.py`` bridges the time between).
"""

import os
import shutil
import threading
from collections.abc import Callable
from typing import Any

from wherry.containers import removal
from wherry.containers.cgroup_sweep import kill_cgroup
from wherry.containers.container import Container, Record, Status, Trigger, now_ns
from wherry.containers.container_events import publish
from wherry.containers.data_dir import run_dir
from wherry.containers.exec_store import exec_exited, exec_started
from wherry.containers.services import Services
from wherry.containers.shm import unmount_shm
from wherry.log import get_logger
from wherry.logs.entry import parse_timestamp
from wherry.monitor.client import MonitorConnection

_logger = get_logger(__name__)

_KILLED = 137
_NANOSECONDS = 1_000_000_000


def nanoseconds(text: str) -> int:
    """An RFC 3339 time of the monitor as Unix nanoseconds; 0 for an empty one."""
    return parse_timestamp(text) if text else 0


def watch(
    services: Services, container: Container, connection: MonitorConnection, *, known_until_ns: int = 0
) -> None:
    """Follow a container's monitor from now on; called once a connection, after the state says that it runs. Events
    up to ``known_until_ns`` are in that state already."""

    def on_event(event: dict[str, Any]) -> None:
        if container.connection is not connection:
            return  # what an earlier monitor still had to say
        if "at_ns" in event and event["at_ns"] <= known_until_ns:
            return
        handler = _HANDLERS.get(event["event"])
        if handler is not None:
            handler(services, container, event)

    connection.subscribe(on_event)


def _on_started(services: Services, container: Container, event: dict[str, Any]) -> None:
    with container.changed:
        state = container.state
        if state.status is not Status.RESTARTING:
            return  # the first start: the verb itself has set the state and told of it
        state.pid = int(event["pid"])
        state.started_at_ns = nanoseconds(event["started_at"])
        state.exit_code, state.error, state.oom_killed = 0, "", False
        container.health = first_health(container.record)
        container.move(Trigger.START)
    _publish_start(services, container, event)


def _on_exited(services: Services, container: Container, event: dict[str, Any]) -> None:
    if not container.running:
        return  # it never ran: the start failed, or an engine died before it could start it
    if not event.get("restarting"):
        services.endings.begin(container.id)
        # Before anybody hears of the end: who starts next on such a volume is to find it as it was made. What the
        # container has of the mount in its own namespace is not touched.
        unmount_volumes(services, container)
    apply_exit(services, container, event)
    if not event.get("restarting") and container.record.host_config.auto_remove and not container.kept_for_restart:
        services.background(lambda: auto_remove(services, container))


def apply_exit(services: Services, container: Container, status: dict[str, Any]) -> None:
    """Take over an exit: from the event, or from exit.json when the engine was not there."""
    with container.changed:
        state = container.state
        restarting = bool(status.get("restarting"))
        started_ns = state.started_at_ns
        state.exit_code = int(status["code"])
        state.oom_killed = bool(status.get("oom"))
        state.error = status.get("error") or ""
        state.finished_at_ns = nanoseconds(status.get("finished_at") or "") or now_ns()
        state.restart_count = int(status.get("restart_count") or 0)
        state.pid = 0
        container.exits += 1
        container.last_exit_code = state.exit_code
        container.stats_sample = None
        container.move(Trigger.EXIT_TO_RESTART if restarting else Trigger.EXIT)
    _publish_die(services, container, status, state.finished_at_ns - started_ns)
    if not container.record.host_config.auto_remove or restarting:
        services.background(lambda: services.containers.save(container))


def _on_disconnected(services: Services, container: Container, _event: dict[str, Any]) -> None:
    if container.running:
        # No ``exited`` before: the monitor was killed, and with it whoever would see the processes end (R15).
        services.background(lambda: _monitor_died(services, container))
    else:
        services.background(lambda: ended(services, container))


def _monitor_died(services: Services, container: Container) -> None:
    _logger.warning("monitor of container %s was killed", container.id[:12])
    kill_cgroup(services.settings, container.record)
    apply_exit(services, container, {"code": _KILLED, "error": "its monitor was killed"})
    ended(services, container)
    policy = container.record.host_config.restart_policy
    if policy.name in ("always", "unless-stopped", "on-failure") and not container.state.manually_stopped:
        services.restart_later(container)


def ended(services: Services, container: Container) -> None:
    """Free what an ended container held in the engine; remove it when it was so created (and is not gone yet)."""
    release(services, container)
    services.endings.finish(container.id)
    with container.changed:
        connection, container.connection = container.connection, None
        container.tell_changed()
    if connection is not None:
        connection.close()
    if container.record.host_config.auto_remove and not container.kept_for_restart:
        auto_remove(services, container)


def release(services: Services, container: Container) -> None:
    """Addresses, ports, mounts of volumes, leftover files of the run root. Idempotent."""
    services.networks.detach(container.id)
    unmount_volumes(services, container)
    discard_run_dir(services, container)


def unmount_volumes(services: Services, container: Container) -> None:
    """Volumes with mount options are mounted as long as a container that uses them runs. Idempotent."""
    for point in container.record.mounts:
        if point.type == "volume":
            services.volumes.unmount(point.name, container.id)


def discard_run_dir(services: Services, container: Container) -> None:
    """Remove what a monitor (which removes it itself) or a failed start left in the run root."""
    directory = run_dir(services.settings, container.id)
    if os.path.isdir(directory):
        unmount_shm(directory)
        shutil.rmtree(directory, ignore_errors=True)


def auto_remove(services: Services, container: Container) -> None:
    """Remove a container with ``--rm``; what goes wrong is logged, and told to who waits for the removal. The next
    engine tries again."""
    with container.verb:
        if container.removed or container.running:
            return
        try:
            removal.remove_locked(services, container, volumes=True)
        except Exception as exc:
            _logger.exception("remove container %s", container.id)
            with container.changed:
                container.removal_error = str(exc)
                container.tell_changed()


def wait_for_end(connection: MonitorConnection, timeout_seconds: float) -> None:
    """Wait until a monitor whose container did not start has freed everything and hung up."""
    gone = threading.Event()
    connection.subscribe(lambda event: gone.set() if event["event"] == "disconnected" else None)
    gone.wait(timeout_seconds)
    connection.close()


def wait_until_released(container: Container, timeout_seconds: float) -> bool:
    """Wait for the last monitor to be gone; False when it still is there after the time-out."""
    with container.changed:
        return container.changed.wait_for(lambda: container.connection is None, timeout_seconds)


def _on_health(services: Services, container: Container, event: dict[str, Any]) -> None:
    with container.lock:
        before = container.health or {"Status": "starting", "FailingStreak": 0, "Log": []}
        log = [*before["Log"], event["result"]][-5:] if event.get("result") else before["Log"]
        container.health = {
            "Status": event["status"],
            "FailingStreak": event.get("failing_streak", 0),
            "Log": log,
        }
    if before["Status"] != event["status"]:
        _publish_health(services, container, event)


def _on_oom(services: Services, container: Container, event: dict[str, Any]) -> None:
    publish(services.events, container, "oom", told_ns=event.get("at_ns", 0))


def publish_missed(services: Services, container: Container, event: dict[str, Any]) -> None:
    """Publish what a monitor told when no engine was there; what an engine has heard of is passed over."""
    _MISSED[event["event"]](services, container, event)


def _publish_start(services: Services, container: Container, event: dict[str, Any]) -> None:
    publish(services.events, container, "start", told_ns=event.get("at_ns", 0))


def _publish_health(services: Services, container: Container, event: dict[str, Any]) -> None:
    publish(services.events, container, f"health_status: {event['status']}", told_ns=event.get("at_ns", 0))


def _publish_die(services: Services, container: Container, event: dict[str, Any], ran_ns: int | None = None) -> None:
    if event.get("repeated"):
        return  # a restart was called off: this death is known
    if ran_ns is None:
        ran_ns = nanoseconds(event["finished_at"]) - nanoseconds(event["started_at"])
    attributes = {"exitCode": str(event["code"]), "execDuration": str(max(ran_ns, 0) // _NANOSECONDS)}
    publish(services.events, container, "die", attributes, told_ns=event.get("at_ns", 0))


def _on_paused(services: Services, container: Container, _event: dict[str, Any]) -> None:
    with container.lock:
        if container.state.status is Status.RUNNING:
            container.move(Trigger.PAUSE)
            publish(services.events, container, "pause")


def _on_resumed(services: Services, container: Container, _event: dict[str, Any]) -> None:
    with container.lock:
        if container.state.status is Status.PAUSED:
            container.move(Trigger.UNPAUSE)
            publish(services.events, container, "unpause")


def _on_detached(services: Services, container: Container, _event: dict[str, Any]) -> None:
    publish(services.events, container, "detach")


def first_health(record: Record) -> dict[str, Any] | None:
    """State.Health of a container that just started; None without a check."""
    return {"Status": "starting", "FailingStreak": 0, "Log": []} if health_request(record) else None


def health_request(record: Record) -> dict[str, Any] | None:
    """The start request's ``health``: argv and seconds. None when there is no check."""
    check = record.config.healthcheck
    if check is None or not check.test or check.test[0] == "NONE":
        return None
    if check.test[0] == "CMD-SHELL":
        args = [*(record.config.shell or ["/bin/sh", "-c"]), *check.test[1:]]
    else:
        args = check.test[1:]
    return {
        "args": args,
        "interval": check.interval / _NANOSECONDS,
        "timeout": check.timeout / _NANOSECONDS,
        "start_period": check.start_period / _NANOSECONDS,
        "start_interval": check.start_interval / _NANOSECONDS,
        "retries": check.retries,
    }


_HANDLERS: dict[str, Callable[[Services, Container, dict[str, Any]], None]] = {
    "started": _on_started,
    "exited": _on_exited,
    "disconnected": _on_disconnected,
    "health": _on_health,
    "oom": _on_oom,
    "paused": _on_paused,
    "resumed": _on_resumed,
    "detached": _on_detached,
    "exec_started": exec_started,
    "exec_exited": exec_exited,
}

_MISSED: dict[str, Callable[[Services, Container, dict[str, Any]], None]] = {
    "started": _publish_start,
    "exited": _publish_die,
    "oom": _on_oom,
    "health": _publish_health,
    "exec_exited": exec_exited,
}

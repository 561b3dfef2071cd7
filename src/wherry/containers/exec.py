"""Further processes in a running container: create, start, inspect, resize."""

import secrets
import time
from collections.abc import Sequence
from typing import Any

from wherry.containers.config import ExecConfig, argv
from wherry.containers.container import Container, Status
from wherry.containers.container_events import publish
from wherry.containers.exec_store import ExecInstance, memo_of
from wherry.containers.hijack import HijackedClient
from wherry.containers.links import linked_environment
from wherry.containers.root import running_account_files
from wherry.containers.security_options import parse as parse_security
from wherry.containers.services import Services
from wherry.containers.spec_process import (
    build_environment,
    capability_sets,
    no_new_privileges,
    oci_user,
    rlimits,
)
from wherry.containers.user import User
from wherry.containers.user import resolve as resolve_user
from wherry.errors import Conflict, InvalidParameter, System, WherryError
from wherry.monitor.attach_options import AttachOptions, parse_detach_keys
from wherry.monitor.client import MonitorConnection, MonitorGone
from wherry.runtime.failure import StartFailed
from wherry.security import capabilities

_SETTLE_SECONDS = 2.0


def create_exec(services: Services, reference: str, config: ExecConfig) -> str:
    """Remember a process to run; its id. Conflict with Docker's text unless the container runs."""
    container = services.containers.get(reference)
    _connection(container, reference)
    command = argv(config.cmd)
    if not command:
        raise InvalidParameter("No exec command specified")
    if any("\0" in text for text in (*command, *(config.env or ()), config.working_dir, config.user)):
        raise InvalidParameter("invalid exec: NUL byte in a string of the process")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(f"Cwd must be an absolute path: {config.working_dir}")
    try:
        parse_detach_keys(config.detach_keys)
    except InvalidParameter as exc:
        raise InvalidParameter(f"Invalid escape keys ({config.detach_keys}) provided") from exc
    linked = linked_environment(services, container.record)
    instance = ExecInstance(secrets.token_hex(32), container, config, linked)
    services.execs.add(instance)
    publish(services.events, container, f"exec_create: {' '.join(command)}", {"execID": instance.id})
    return instance.id


class ExecStart:
    """A checked start; ``run`` once the head is out."""

    def __init__(
        self, services: Services, instance: ExecInstance, *, detach: bool, console_size: tuple[int, int] | None
    ) -> None:
        self._services = services
        self._instance = instance
        self._detach = detach
        self._console_size = console_size or instance.config.console_size

    def run(self, client: HijackedClient | None) -> None:
        """Start the process and hand the client's socket to the monitor. InvalidParameter or System say why not;
        the exec then has ended with 126 or 127."""
        instance = self._instance
        config, container = instance.config, instance.container
        try:
            connection = _connection(container)
            process = self._process(container, config)
            options = None
            if client is not None and not self._detach:
                options = AttachOptions(
                    stdin=config.attach_stdin,
                    stdout=config.attach_stdout,
                    stderr=config.attach_stderr,
                    framed=client.framed,
                    detach_keys=config.detach_keys,
                    leftover=client.leftover,
                )
            # As in moby before the start: a short one has ended when the monitor answers.
            command = " ".join(argv(config.cmd))
            publish(self._services.events, container, f"exec_start: {command}", {"execID": instance.id})
            instance.running = True
            fd = client.socket.fileno() if client is not None and options is not None else None
            try:
                pid = connection.exec(instance.id, process, fd=fd, options=options, memo=memo_of(config))
            except MonitorGone as exc:
                raise Conflict(f"container {container.id} is not running") from exc
        except WherryError as exc:
            instance.running = False
            raise self._failed(exc) from exc
        if instance.exit_code is None:
            instance.pid = pid

    def _failed(self, exc: WherryError) -> WherryError:
        instance = self._instance
        if not isinstance(exc, StartFailed):
            instance.exit_code = 126
            return exc
        instance.exit_code = exc.exit_code if exc.exit_code in (126, 127) else 126
        message = (
            "OCI runtime exec failed: exec failed: unable to start container process: " + exc.message + ": unknown"
        )
        return InvalidParameter(message) if exc.exit_code in (126, 127) else System(message)

    def _process(self, container: Container, config: ExecConfig) -> dict[str, Any]:
        record, settings = container.record, self._services.settings
        host = record.host_config
        user = _user(container, config, host.group_add or ())
        security = parse_security(host.security_opt)
        bounding = capabilities.resolve(
            argv(host.cap_add), argv(host.cap_drop), privileged=host.privileged or config.privileged
        )
        environment = [
            *self._instance.linked,
            *(record.config.env or ()),
            *(config.env or ()),
        ]
        process: dict[str, Any] = {
            "terminal": config.tty,
            "user": oci_user(user),
            "args": argv(config.cmd),
            "env": build_environment(record, environment, tty=config.tty, home=user.home),
            "cwd": config.working_dir or record.config.working_dir or "/",
            "capabilities": capability_sets(bounding, user),
            "noNewPrivileges": no_new_privileges(security, settings),
            "rlimits": rlimits(host, settings),
            "oomScoreAdj": host.oom_score_adj,
        }
        if config.tty and self._console_size:
            process["consoleSize"] = {"height": self._console_size[0], "width": self._console_size[1]}
        if security.apparmor and security.apparmor != "unconfined":
            process["apparmorProfile"] = security.apparmor
        return process


def begin(
    services: Services,
    exec_id: str,
    *,
    detach: bool = False,
    console_size: tuple[int, int] | None = None,
) -> ExecStart:
    """Check that the exec can be started. Conflict when it was, or the container stopped meanwhile."""
    instance = services.execs.get(exec_id)
    _connection(instance.container)
    if instance.started:
        state = "is already running" if instance.running else "has already run"
        raise Conflict(f"Error: Exec command {exec_id} {state}")
    instance.started = True
    return ExecStart(services, instance, detach=detach, console_size=console_size)


def inspect_exec(services: Services, exec_id: str) -> dict[str, Any]:
    """Docker's ExecInspectResponse."""
    instance = services.execs.get(exec_id)
    _settle(instance)
    config = instance.config
    command = argv(config.cmd)
    return {
        "ID": instance.id,
        "Running": instance.running,
        "ExitCode": instance.exit_code,
        "ProcessConfig": {
            "tty": config.tty,
            "entrypoint": command[0],
            "arguments": command[1:],
            "privileged": config.privileged,
            **({"user": config.user} if config.user else {}),
        },
        "OpenStdin": config.attach_stdin,
        "OpenStderr": config.attach_stderr,
        "OpenStdout": config.attach_stdout,
        "CanRemove": False,
        "ContainerID": instance.container.id,
        "DetachKeys": config.detach_keys,
        "Pid": instance.pid,
    }


def _settle(instance: ExecInstance) -> None:
    """Wait for an exit that the monitor has told but that is still on its way to us.

    A client that saw its stream end asks for the exit code at once; the monitor closes the stream first.
    """
    connection = instance.container.connection
    if not instance.running or connection is None:
        return
    try:
        if instance.id in connection.state()["execs"]:
            return
    except MonitorGone:
        pass  # its last events are on their way
    deadline = time.monotonic() + _SETTLE_SECONDS
    while instance.running and time.monotonic() < deadline:
        time.sleep(0.0005)


def resize_exec(services: Services, exec_id: str, *, height: int, width: int) -> None:
    """Set the size of a running exec's terminal."""
    instance = services.execs.get(exec_id)
    if not instance.running:
        raise Conflict(f"exec {exec_id} is not running")
    _connection(instance.container).exec_resize(exec_id, height, width)


def _connection(container: Container, reference: str = "") -> MonitorConnection:
    status = container.state.status
    connection = container.connection
    if status is Status.PAUSED:
        raise Conflict(f"Container {reference or container.id} is paused, unpause the container before exec")
    if status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if status is not Status.RUNNING or connection is None:
        raise Conflict(f"container {container.id} is not running")
    return connection


def _user(container: Container, config: ExecConfig, group_add: Sequence[str]) -> User:
    return resolve_user(config.user or container.record.config.user, group_add, running_account_files(container))

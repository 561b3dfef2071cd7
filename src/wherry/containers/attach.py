"""Attach a client to a container's streams: its socket goes to the monitor, or waits for the start."""

from dataclasses import dataclass
from typing import Self

from wherry.containers.attach_parking import announced, park
from wherry.containers.container import Container, Status
from wherry.containers.container_events import publish
from wherry.containers.hijack import HijackedClient
from wherry.containers.logs import LogOptions, open_logs
from wherry.containers.services import Services
from wherry.errors import Conflict
from wherry.monitor import attach_options as monitor_options
from wherry.monitor.client import MonitorGone


@dataclass(frozen=True, slots=True)
class AttachOptions:
    """The query of POST /containers/{id}/attach. ``logs``: first what was printed so far."""

    stream: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    logs: bool = False
    detach_keys: str = ""


class Attachment:
    """A checked request; ``run`` takes the client once the head is out. A context: the head goes out in it."""

    def __init__(self, services: Services, container: Container, options: AttachOptions) -> None:
        self._services = services
        self._container = container
        self._options = options
        self.tty = container.record.config.tty
        self._announcement = announced(container)

    def __enter__(self) -> Self:
        self._announcement.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._announcement.__exit__(None, None, None)

    def run(self, client: HijackedClient) -> None:
        """Replay the log if asked, then hand the socket over. The caller closes its copy afterwards."""
        options, container = self._options, self._container
        if options.logs:
            wanted = LogOptions(stdout=options.stdout, stderr=options.stderr)
            open_logs(self._services, container.id, wanted).pump(client.socket.sendall, lambda: False)
        if not options.stream:
            return
        handed = monitor_options.AttachOptions(
            stdin=options.stdin and container.record.config.open_stdin,
            stdout=options.stdout,
            stderr=options.stderr,
            framed=client.framed,
            detach_keys=options.detach_keys,
            leftover=client.leftover,
        )
        with container.lock:
            connection = container.connection if container.running else None
            if connection is None:
                if container.removed:
                    return
                park(container, client.socket.fileno(), handed)
        if connection is not None:
            try:
                connection.attach(client.socket.fileno(), handed)
            except MonitorGone:
                return  # it ended: closing the socket tells the client
        publish(self._services.events, container, "attach")


def begin(services: Services, reference: str, options: AttachOptions) -> Attachment:
    """Check that the container can be attached to. Conflict when paused or between restarts."""
    container = services.containers.get(reference)
    monitor_options.parse_detach_keys(options.detach_keys)
    if container.state.status is Status.PAUSED:
        raise Conflict(f"container {reference} is paused, unpause the container before attach")
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"container {reference} is restarting, wait until the container is running")
    return Attachment(services, container, options)

"""Clients that attached before the start: their sockets wait here and go to the monitor with the start request,
so that not one byte of output is missed."""

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wherry.containers.container import Container
from wherry.monitor.attach_options import AttachOptions

# A client's answer takes microseconds; one that does not read it cannot hold up a start for longer.
_ANNOUNCED_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class ParkedClient:
    """A duplicate of the client's socket and what it wants. Owned by whoever took it."""

    fd: int
    options: AttachOptions

    def close(self) -> None:
        """Close the duplicate."""
        os.close(self.fd)


def park(container: Container, fd: int, options: AttachOptions) -> None:
    """Keep a duplicate of ``fd`` until the start. Clients that hung up meanwhile are dropped (R29)."""
    with container.lock:
        gone = {client.fd for client in container.pending_attach if _hung_up(client.fd)}
        for client in container.pending_attach:
            if client.fd in gone:
                client.close()
        container.pending_attach = [client for client in container.pending_attach if client.fd not in gone]
        container.pending_attach.append(ParkedClient(os.dup(fd), options))


@contextmanager
def announced(container: Container) -> Iterator[None]:
    """Around telling a client that it is attached and handing it over: a start in between waits.

    The client sends its start as soon as it is told; without this a program could print and end before its client
    is parked, and the client would see nothing.
    """
    with container.changed:
        container.attaches_underway += 1
    try:
        yield
    finally:
        with container.changed:
            container.attaches_underway -= 1
            container.changed.notify_all()


def take_parked(container: Container) -> list[ParkedClient]:
    """All waiting clients, those just announced included; the caller closes them."""
    with container.changed:
        container.changed.wait_for(lambda: container.attaches_underway == 0, _ANNOUNCED_SECONDS)
        parked, container.pending_attach = container.pending_attach, []
    return parked


def _hung_up(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLHUP)
    return bool(poll.poll(0))

"""A container: what is stored of it, what is live of it, and the table of its states.

    create ─→ created ─start→ running ⇄ paused
                 │               │ exit (policy says again) → restarting ─→ running
                 │               │ exit → exited ─start→ running
                 └──────────── remove ─→ removing ─→ (gone) | dead

``Record`` is the JSON document in the database; ``Container`` adds the lock, the waiters' condition, the
monitor connection and the exec sessions, which live only as long as the engine.
"""

import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any

import msgspec

from wherry.containers.config import BindOptions, ContainerConfig, EndpointSettings, HostConfig, TmpfsOptions, Wire
from wherry.errors import System
from wherry.monitor.client import MonitorConnection


class Status(StrEnum):
    """Docker's seven states."""

    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    RESTARTING = "restarting"
    REMOVING = "removing"
    EXITED = "exited"
    DEAD = "dead"


class Trigger(StrEnum):
    """What moves a container from one state to the next."""

    START = "start"
    EXIT = "exit"
    EXIT_TO_RESTART = "exit to restart"
    PAUSE = "pause"
    UNPAUSE = "unpause"
    REMOVE = "remove"
    REMOVE_UNDONE = "remove undone"
    REMOVE_FAILED = "remove failed"


_S, _T = Status, Trigger
TRANSITIONS: dict[tuple[Status, Trigger], Status] = {
    (_S.CREATED, _T.START): _S.RUNNING,
    (_S.EXITED, _T.START): _S.RUNNING,
    (_S.RESTARTING, _T.START): _S.RUNNING,
    (_S.RUNNING, _T.EXIT): _S.EXITED,
    (_S.PAUSED, _T.EXIT): _S.EXITED,
    (_S.RESTARTING, _T.EXIT): _S.EXITED,
    (_S.RUNNING, _T.EXIT_TO_RESTART): _S.RESTARTING,
    (_S.PAUSED, _T.EXIT_TO_RESTART): _S.RESTARTING,
    (_S.RESTARTING, _T.EXIT_TO_RESTART): _S.RESTARTING,
    (_S.RUNNING, _T.PAUSE): _S.PAUSED,
    (_S.PAUSED, _T.UNPAUSE): _S.RUNNING,
    (_S.CREATED, _T.REMOVE): _S.REMOVING,
    (_S.EXITED, _T.REMOVE): _S.REMOVING,
    (_S.DEAD, _T.REMOVE): _S.REMOVING,
    (_S.REMOVING, _T.REMOVE): _S.REMOVING,
    (_S.REMOVING, _T.REMOVE_FAILED): _S.DEAD,
}


class State(msgspec.Struct, omit_defaults=True):
    """The state as stored. Times are Unix nanoseconds, zero for never."""

    status: Status = Status.CREATED
    pid: int = 0
    exit_code: int = 0
    error: str = ""
    oom_killed: bool = False
    started_at_ns: int = 0
    finished_at_ns: int = 0
    restart_count: int = 0
    manually_stopped: bool = False
    boot_id: str = ""


class MountPoint(Wire, omit_defaults=True):
    """One bind, volume, tmpfs or image mount: the fields of Docker's MountPoint, then what the spec needs."""

    type: str = ""
    name: str = ""
    source: str = ""
    destination: str = ""
    driver: str = ""
    mode: str = ""
    rw: bool = True
    propagation: str = ""
    no_copy: bool = False
    anonymous: bool = False
    explicit: bool = False
    create_source: bool = False
    subpath: str = ""
    bind_options: BindOptions | None = None
    tmpfs_options: TmpfsOptions | None = None


class Record(msgspec.Struct, omit_defaults=True):
    """Everything durable about one container. ``networks`` holds what was asked for, by network name."""

    id: str
    name: str
    created_ns: int
    image_id: str
    chain_id: str
    platform: str
    path: str
    args: list[str]
    config: ContainerConfig
    host_config: HostConfig
    networks: dict[str, EndpointSettings] = {}
    mounts: list[MountPoint] = []
    network_settings: dict[str, Any] = {}
    state: State = msgspec.field(default_factory=State)
    ephemeral: bool = False


class Container:
    """One container in memory. ``lock`` is held by the verb that changes it; ``changed`` (same lock) is
    notified at every change of state. Read single fields without it, several of them with it."""

    __slots__ = (
        "attaches_underway",
        "changed",
        "connection",
        "exits",
        "health",
        "kept_for_restart",
        "last_exit_code",
        "lock",
        "pending_attach",
        "record",
        "removal_error",
        "removed",
        "stats_sample",
        "verb",
        "wakes",
    )

    def __init__(self, record: Record) -> None:
        self.record = record
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.verb = threading.RLock()
        self.connection: MonitorConnection | None = None
        self.pending_attach: list[Any] = []
        self.attaches_underway = 0
        """Clients that have been told yes and are not handed over yet; a start waits for them."""
        self.health: dict[str, Any] | None = None
        self.stats_sample: tuple[float, dict[str, Any]] | None = None
        self.exits = 0
        self.last_exit_code = 0
        """Of the latest exit: a restart clears the one in the state."""
        self.kept_for_restart = False
        self.removed = False
        # Why ``--rm`` did not take it away; who waits for that is told.
        self.removal_error = ""
        self.wakes: set[int] = set()
        """eventfds of those who wait for a change in a poll of their own."""

    @property
    def id(self) -> str:
        """64 hex digits."""
        return self.record.id

    @property
    def name(self) -> str:
        """The name without a slash."""
        return self.record.name

    @property
    def state(self) -> State:
        """The stored state."""
        return self.record.state

    @property
    def running(self) -> bool:
        """Docker's Running: running, paused, or waiting to restart."""
        return self.record.state.status in (Status.RUNNING, Status.PAUSED, Status.RESTARTING)

    def move(self, trigger: Trigger) -> None:
        """Take one step of the table and wake the waiters; System when the table has no such step."""
        status = TRANSITIONS.get((self.state.status, trigger))
        if status is None:
            raise System(f"container {self.id}: no step {trigger} from state {self.state.status}")
        with self.changed:
            self.state.status = status
            self.tell_changed()

    def tell_changed(self) -> None:
        """Wake everybody who waits for a change; the caller holds ``changed``."""
        self.changed.notify_all()
        for wake in self.wakes:
            os.eventfd_write(wake, 1)

    @contextmanager
    def woken(self) -> Iterator[int]:
        """An eventfd that is readable after a change. It is not blocking; whoever polls it empties it."""
        wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        with self.changed:
            self.wakes.add(wake)
        try:
            yield wake
        finally:
            with self.changed:
                self.wakes.discard(wake)
            os.close(wake)


def now_ns() -> int:
    """Unix time in nanoseconds."""
    return time.time_ns()

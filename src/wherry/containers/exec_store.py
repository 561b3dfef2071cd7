"""Exec instances: created, running, ended. In memory only; of those that were started the container's monitor keeps
what the next engine needs (the latest 16 ended ones).

An ended one is remembered until its container goes, at most the latest 256 of a container.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from wherry.containers.config import ExecConfig
from wherry.containers.container import Container
from wherry.containers.container_events import publish
from wherry.errors import NotFound

if TYPE_CHECKING:
    from wherry.containers.services import Services

_KEPT = 256


@dataclass(slots=True)
class ExecInstance:
    """One exec. ``linked``: variables of the container's links. ``exit_code`` is None until it ended."""

    id: str
    container: Container
    config: ExecConfig
    linked: list[str] = field(default_factory=list)
    running: bool = False
    started: bool = False
    pid: int = 0
    exit_code: int | None = None


class ExecStore:
    """All exec instances of an engine; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._instances: dict[str, ExecInstance] = {}

    def add(self, instance: ExecInstance) -> None:
        """Remember a new instance; the container's oldest ended ones make room."""
        with self._lock:
            siblings = [i for i in self._instances.values() if i.container is instance.container]
            for old in siblings[: max(len(siblings) - _KEPT + 1, 0)]:
                if not old.running:
                    del self._instances[old.id]
            self._instances[instance.id] = instance

    def get(self, exec_id: str) -> ExecInstance:
        """By full id; NotFound with Docker's text."""
        with self._lock:
            found = self._instances.get(exec_id)
        if found is None:
            raise NotFound(f"No such exec instance: {exec_id}")
        return found

    def find(self, exec_id: str) -> ExecInstance | None:
        """By full id, None when unknown (an exec of an earlier engine)."""
        with self._lock:
            return self._instances.get(exec_id)

    def of(self, container: Container) -> list[ExecInstance]:
        """The running instances of one container."""
        with self._lock:
            return [i for i in self._instances.values() if i.container is container and i.running]

    def forget(self, container: Container) -> None:
        """The container is gone."""
        with self._lock:
            self._instances = {key: i for key, i in self._instances.items() if i.container is not container}


def memo_of(config: ExecConfig) -> dict[str, Any]:
    """What a monitor keeps of an exec's configuration. Not its environment: inspect does not show it."""
    memo: dict[str, Any] = msgspec.to_builtins(msgspec.structs.replace(config, env=None))
    return memo


def adopt_execs(execs: ExecStore, container: Container, known: Mapping[str, Mapping[str, Any]]) -> None:
    """Take over the execs of an earlier engine; ``known`` is the monitor's (exec_session.py)."""
    for exec_id, told in known.items():
        code = told["code"]
        execs.add(
            ExecInstance(
                exec_id,
                container,
                msgspec.convert(told["memo"], ExecConfig),
                running=code is None,
                started=True,
                pid=int(told["pid"]),
                exit_code=code,
            )
        )


def exec_started(services: "Services", _container: Container, event: dict[str, Any]) -> None:
    """The monitor tells that an exec runs."""
    instance = services.execs.find(event["exec_id"])
    if instance is not None and instance.exit_code is None:
        instance.running = True
        instance.pid = int(event["pid"])


def exec_exited(services: "Services", container: Container, event: dict[str, Any]) -> None:
    """The monitor tells that an exec ended."""
    instance = services.execs.find(event["exec_id"])
    if instance is not None:
        instance.exit_code = int(event["code"])
        instance.running = False
    attributes = {"execID": event["exec_id"], "exitCode": str(event["code"])}
    publish(services.events, container, "exec_die", attributes, told_ns=event.get("at_ns", 0))

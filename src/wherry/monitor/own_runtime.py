"""wherry's runtime, called in a fork of the monitor (no exec of a runtime binary: a start takes milliseconds)."""

from __future__ import annotations

import os
import socket
from functools import partial

from wherry.monitor.by_cgroup import ByCgroup
from wherry.monitor.container_runtime import NotRunning, Running
from wherry.monitor.container_spec import ContainerSpec
from wherry.monitor.diagnostics import report
from wherry.monitor.helper import run_in_helper
from wherry.monitor.protocol import Message
from wherry.monitor.sandbox import Sandbox
from wherry.monitor.stdio import Streams
from wherry.record import TYPE_CHECKING
from wherry.runtime import cgroups as cgroups_module
from wherry.runtime.cgroup_layout import container_path
from wherry.runtime.cgroups import CgroupFailure, Cgroups
from wherry.runtime.create import Created, create_container
from wherry.runtime.exec import exec_process
from wherry.runtime.start import start_container

if TYPE_CHECKING:
    from typing import Any

# For what takes milliseconds, on a machine that is very busy. Below the engine's patience with an answer.
_CREATE_SECONDS = 50.0
EXEC_SECONDS = 10.0


class OwnRuntime(ByCgroup):
    """``request`` is the start request, ``spec`` its config.json."""

    def __init__(self, request: dict[str, Any], spec: ContainerSpec) -> None:
        self._id: str = request["id"]
        self._spec = spec
        self._bundle: str = request["bundle"]
        self._rootfs = request.get("rootfs")
        self._reaper = bool(request.get("init"))
        self._cgroups_path: str | None = request["facts"]["cgroups_path"]
        self._cgroups: Cgroups | None = None
        self._created: Created | None = None

    def create(self, streams: Streams, sandbox: Sandbox) -> Running:
        """See :class:`ContainerRuntime`."""
        result, fds = run_in_helper(partial(self._create, streams, sandbox), limit_seconds=_CREATE_SECONDS)
        for warning in result["warnings"]:
            report(warning)
        created = _received(result, fds)
        self._created = created
        console, created.console_fd = created.console_fd, None
        return Running(created.pid, os.dup(created.pidfd), console)

    def _create(self, streams: Streams, sandbox: Sandbox) -> tuple[Message, list[int]]:
        """In the helper."""
        spec = self._spec.load()
        linux = spec["linux"]
        # The links come up while the init builds its root, unless it sets something of theirs.
        links_first = any(".conf." in name or ".neigh." in name for name in linux.get("sysctl") or ())
        if links_first:
            sandbox.before_create()
        cgroups = cgroups_module.create(self._cgroups_path, container_id=self._id, resources=linux.get("resources"))
        try:
            created = create_container(
                spec,
                bundle=self._bundle,
                container_id=self._id,
                stdio=streams.child,
                rootfs=self._rootfs,
                network_namespace_fd=sandbox.runtime_fd,
                cgroups=cgroups,
                reaper=self._reaper,
                die_with_parent=True,
                meanwhile=None if links_first else sandbox.before_create,
            )
            try:
                sandbox.in_container(created.pid)
                sandbox.wait_operational()
            except BaseException:
                created.kill()
                raise
        except BaseException:
            cgroups.delete()
            raise
        return _sent(created)

    def start(self) -> None:
        """See :class:`ContainerRuntime`."""
        assert self._created is not None
        start_container(self._created, limit_seconds=_CREATE_SECONDS)

    def exec(self, process: dict[str, Any], streams: Streams) -> Running:
        """See :class:`ContainerRuntime`."""
        return self._exec(process, streams, from_init=False)

    def probe(self, args: list[str], streams: Streams) -> Running:
        """See :class:`ContainerRuntime`."""
        return self._exec({"args": args, "terminal": False}, streams, from_init=True)

    def _exec(self, process: dict[str, Any], streams: Streams, *, from_init: bool) -> Running:
        created = self._created
        if created is None:
            raise NotRunning("container is not running")

        def job() -> tuple[Message, list[int]]:
            spec = self._spec.load()
            full = {**spec["process"], **process} if from_init else process
            full.setdefault("oomScoreAdj", spec["process"]["oomScoreAdj"])
            executed = exec_process(
                full,
                spec=spec,
                pid=created.pid,
                pidfd=created.pidfd,
                cgroups=self._attached(),
                stdio=streams.child,
                container_id=self._id,
            )
            console = [] if executed.console_fd is None else [executed.console_fd]
            return {"pid": executed.pid, "warnings": executed.warnings}, [executed.pidfd, *console]

        result, fds = run_in_helper(job, limit_seconds=EXEC_SECONDS)
        for warning in result["warnings"]:
            report(warning)
        return Running(result["pid"], fds[0], fds[1] if len(fds) > 1 else None)

    def delete(self) -> None:
        """See :class:`ContainerRuntime`."""
        cgroups, self._cgroups = self._attached(), None
        created, self._created = self._created, None
        if created is not None:
            created.close()
        if cgroups is not None:
            try:
                cgroups.delete()
            except (CgroupFailure, OSError) as exc:
                # A process in uninterruptible sleep: the engine's sweep removes it later; the exit must go on (R35).
                report(f"container {self._id[:12]}: {exc}")
            cgroups.close()

    def _attached(self) -> Cgroups | None:
        """The cgroups between create and delete. Looked up by the first who asks: nobody asks in an idle monitor."""
        if self._cgroups is None and self._created is not None:
            self._cgroups = cgroups_module.attach(container_path(self._cgroups_path, self._id))
        return self._cgroups


def _sent(created: Created) -> tuple[Message, list[int]]:
    """A Created as a message: which optional descriptors follow pidfd, mount namespace and start socket."""
    assert created.start_socket is not None
    fds = [created.pidfd, created.mount_ns_fd, created.start_socket.detach()]
    console, listener = created.console_fd, created.seccomp_listener_fd
    fds += [fd for fd in (console, listener) if fd is not None]
    message = {
        "pid": created.pid,
        "warnings": created.warnings,
        "console": console is not None,
        "listener": listener is not None,
    }
    return message, fds


def _received(message: Message, fds: list[int]) -> Created:
    pidfd, mount_ns_fd, start_fd, *optional = fds
    return Created(
        pid=message["pid"],
        pidfd=pidfd,
        console_fd=optional.pop(0) if message["console"] else None,
        mount_ns_fd=mount_ns_fd,
        start_socket=socket.socket(fileno=start_fd),
        seccomp_listener_fd=optional.pop(0) if message["listener"] else None,
        warnings=message["warnings"],
    )

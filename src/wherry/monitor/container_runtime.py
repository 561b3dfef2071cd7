"""The seam between a container's life (``container.py``) and what makes its processes: our own runtime in this
process, or another OCI runtime's binary."""

from __future__ import annotations

from wherry.errors import Conflict
from wherry.monitor.sandbox import Sandbox
from wherry.monitor.stdio import Streams
from wherry.record import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from typing import Any


class Running(NamedTuple):
    """A process of the container, a child of the monitor. The receiver owns the descriptors."""

    pid: int
    pidfd: int
    console_fd: int | None


class NotRunning(Conflict):
    """The operation needs a running container."""


class ContainerRuntime(Protocol):
    """One container. Methods raise RuntimeFailure or other WherryErrors; they block for milliseconds."""

    def create(self, streams: Streams, sandbox: Sandbox) -> Running:
        """Set up, network included; the init waits. Nothing is left behind when it raises, but links, which the
        sandbox's ``close`` takes down."""

    def start(self) -> None:
        """Let the init execve. Raises RuntimeFailure with exit_code 126 or 127."""

    def exec(self, process: dict[str, Any], streams: Streams) -> Running:
        """Run a further process; it runs on return."""

    def probe(self, args: list[str], streams: Streams) -> Running:
        """Like ``exec``, with everything but the arguments as the container's own process has it."""

    def signal_all(self, number: int) -> None:
        """Signal every process of the container."""

    def pids(self) -> list[int]:
        """Host pids of every process; empty when it is gone."""

    def pause(self) -> None:
        """Freeze; on return nothing moves."""

    def resume(self) -> None:
        """Thaw; idempotent."""

    def update(self, resources: dict[str, Any]) -> None:
        """Change limits (OCI ``linux.resources``) now if it exists, and for restarts."""

    def stats(self) -> dict[str, Any]:
        """A sample of the cgroups' counters."""

    def oom_killed(self) -> bool:
        """Whether the OOM killer took a process since create."""

    def delete(self) -> None:
        """After the init is reaped: free cgroups and mounts; idempotent."""

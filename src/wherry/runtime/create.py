"""Create a container: everything is set up and its init waits, one execve away from the user's program."""

from dataclasses import dataclass
from typing import Any

from wherry.runtime.rootfs import OverlayRootfs


@dataclass(slots=True)
class Created:
    """A container whose init waits. The caller owns the descriptors; :meth:`close` closes those that are left.

    The init is a child of the calling process (waitpid by ``pid``).
    """

    pid: int
    pidfd: int
    console_fd: int | None  # the pty's master when process.terminal and no console socket was given
    mount_ns_fd: int  # keeps the container's mounts alive: close it off the critical path
    start_fd: int  # the socket on which the init waits; used by start_container
    seccomp_notify_fd: int | None  # the listener when the profile has SCMP_ACT_NOTIFY and no listenerPath
    warnings: tuple[str, ...]  # what was asked for and could not be done, one line each

    def close(self) -> None:
        """Close every descriptor still held; closing ``start_fd`` before the start ends the waiting init."""
        raise NotImplementedError


def create_container(
    spec: dict[str, Any],
    *,
    bundle: str,
    container_id: str,
    stdio: tuple[int, int, int] | None = None,
    console_socket: str | None = None,
    rootfs: OverlayRootfs | None = None,
    network_namespace_fd: int | None = None,
    cgroups: Any = None,
    exec_fifo: str | None = None,
) -> Created:
    """Set the container up and return with its init waiting.

    ``spec`` is an OCI config.json; ``bundle`` an existing directory (relative paths of the spec start there).
    ``stdio`` become the process's 0, 1, 2 (None: inherit), unless ``process.terminal``. ``rootfs`` replaces the
    spec's ``root``. ``network_namespace_fd`` replaces the path of the spec's network namespace. ``cgroups``: made by the
    caller with :class:`wherry.runtime.cgroups.Cgroups`, already applied (None: no cgroup is joined).
    ``exec_fifo``: the init waits on this FIFO instead of ``start_fd``, so the caller may exit (wherry-runtime).
    Raises RuntimeFailure or SpecInvalid; nothing is left behind then, except what the caller made.
    """
    raise NotImplementedError

"""Run a further process in a running container."""

from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Executed:
    """A process in a container, a child of the calling process. The caller owns the descriptors."""

    pid: int
    pidfd: int
    console_fd: int | None
    warnings: tuple[str, ...]


def exec_process(
    process: dict[str, Any],
    *,
    spec: dict[str, Any],
    pidfd: int,
    stdio: tuple[int, int, int] | None = None,
    console_socket: str | None = None,
    cgroups: Any = None,
) -> Executed:
    """Run an OCI ``process`` beside the container's init (``pidfd``), in the same namespaces, cgroup and confinement.

    ``spec`` is the container's config.json: seccomp and the mount label come from it. Returns once the program runs
    (execve succeeded). Raises RuntimeFailure with exit_code 126 or 127 and runc's wording.
    """
    raise NotImplementedError

"""What the runtime otherwise imports when it is first needed, because a short command seldom needs it.

A process that forks the callers of ``create_container`` and ``exec_process`` loads it once, before.
"""

from wherry.runtime import device_program, resources_v1, resources_v2, seccomp_listener
from wherry.runtime.cgroups import system_layout
from wherry.security import bpf

__all__ = ["bpf", "device_program", "preload", "resources_v1", "resources_v2", "seccomp_listener"]


def preload() -> None:
    """Importing this module was most of it; the cgroup layout is read, and its implementation loaded."""
    system_layout()

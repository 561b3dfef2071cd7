"""Becoming a process whose program nobody can write to (S33, CVE-2019-5736).

A container's program may open the /proc/<pid>/exe of whoever enters its root. Here that is the interpreter on a
read-only overlay that is mounted nowhere (0.1 ms; there is no upper layer to write to), or, where overlay mounts are
not allowed, a copy in a memfd with all seals (2.5 ms).
"""

import os
import sys

from wherry.linux.memfd import sealed_copy

_BOOT = "import gc,sys;gc.disable();sys.path.append(sys.argv.pop(1));from wherry.runtime.commands import run;run()"


def reexecute(arguments: list[str]) -> None:
    """Run the commands from a protected interpreter, without site and without the environment's Python settings;
    does not return.

    argv[0] is the interpreter's real path: from it the standard library is found.
    """
    interpreter = os.path.realpath(sys.executable)
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = _on_read_only_overlay(interpreter)
    if program is None:
        program = sealed_copy(interpreter, "wherry-runtime")
    options = ["-I", "-S", "-X", "utf8", "-c", _BOOT, package_root]
    os.execve(f"/proc/self/fd/{program}", [interpreter, *options, *arguments], os.environ)


def _on_read_only_overlay(interpreter: str) -> int | None:
    """The interpreter below a detached overlay without an upper layer; None where that cannot be had."""
    from wherry.linux.mount_api import MOUNT_ATTR_NODEV, MOUNT_ATTR_RDONLY, FileSystemContext  # start-up cost

    directory, name = os.path.split(interpreter)
    try:
        with FileSystemContext("tmpfs") as context:
            context.create()
            empty = context.mount()
        with FileSystemContext("overlay") as context:
            for layer in (directory, f"/proc/self/fd/{empty}"):  # an overlay without upper wants two layers
                context.set_string("lowerdir+", layer)
            context.create()
            tree = context.mount(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NODEV)
        os.close(empty)
        try:
            return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tree)
        finally:
            os.close(tree)
    except OSError:
        return None  # an older kernel, no CAP_SYS_ADMIN, or an interpreter on a file system that cannot be a layer

"""Becoming a process whose program nobody can write to: the interpreter from a sealed memfd (S33, CVE-2019-5736).

A container's program may open the /proc/<pid>/exe of whoever enters its root. Here that is a memfd with all seals.
"""

import os
import sys
from typing import NoReturn

from wherry.linux.memfd import ALL_SEALS, sealed_copy, seals

_BOOT = "import sys;sys.path.insert(0,sys.argv.pop(1));import wherry.runtime.commands as c;c.run()"


def is_sealed() -> bool:
    """Whether this process runs from a sealed memfd."""
    fd = os.open("/proc/self/exe", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return seals(fd) & ALL_SEALS == ALL_SEALS
    except OSError:  # EINVAL: an ordinary file has no seals
        return False
    finally:
        os.close(fd)


def reexecute(arguments: list[str]) -> NoReturn:
    """Run the commands again from a sealed copy of the interpreter, without site and without the environment's
    Python settings. argv[0] is the interpreter's real path: from it the standard library is found."""
    interpreter = os.path.realpath(sys.executable)
    package_root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    program = sealed_copy(interpreter, "wherry-runtime")
    options = ["-I", "-S", "-X", "utf8", "-c", _BOOT, package_root]
    os.execve(f"/proc/self/fd/{program}", [interpreter, *options, *arguments], os.environ)

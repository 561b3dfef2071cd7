"""Running code under a real filter, in a process of its own: a filter cannot be taken off again."""

import json
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

_PRELUDE = """
import ctypes, errno, json, mmap, os, sys, threading
from wherry.linux import seccomp
from wherry.security import bpf, capabilities, seccomp_profile

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long

def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "ok"

def docker_default(granted=capabilities.DEFAULT):
    compiled = bpf.compile_profile(seccomp_profile.default_profile(granted))
    return seccomp.install(compiled.program, compiled.flags)

def tell(value):
    sys.stdout.write(json.dumps(value) + "\\n")
    sys.stdout.flush()
"""

Confined = Callable[[str], Any]


@pytest.fixture
def confined() -> Confined:
    """Run Python source in a new process; what it gives to ``tell`` is the result."""

    def run(source: str) -> Any:
        finished = subprocess.run(
            [sys.executable, "-c", _PRELUDE + source], capture_output=True, text=True, timeout=30, check=False
        )
        assert finished.returncode == 0, finished.stderr
        return json.loads(finished.stdout)

    return run

"""Finding the program to execute inside the container, with the errors of Go's ``exec.LookPath``.

Runs after the container's root was entered: os.stat and os.access only, bytes only.
"""

import os
import stat

from wherry.runtime.failure import RuntimeFailure

_NOT_FOUND = 127
_CANNOT_RUN = 126


def find_executable(name: bytes, search_path: bytes) -> bytes:
    """The path to execute for ``name``. Raises RuntimeFailure with exit_code 127 or 126."""
    if b"/" in name:
        problem = _problem(name)
        if problem is None:
            return name
        text, code = problem
        raise RuntimeFailure(f'exec: "{os.fsdecode(name)}": {text}', exit_code=code)
    if name:
        for directory in search_path.split(b":"):
            candidate = os.path.join(directory or b".", name)
            if _problem(candidate) is None:
                return candidate
    raise RuntimeFailure(f'exec: "{os.fsdecode(name)}": executable file not found in $PATH', exit_code=_NOT_FOUND)


def _problem(path: bytes) -> tuple[str, int] | None:
    try:
        mode = os.stat(path).st_mode
    except PermissionError:
        return f"stat {os.fsdecode(path)}: permission denied", _CANNOT_RUN
    except OSError as exc:
        return f"stat {os.fsdecode(path)}: {os.strerror(exc.errno or 0).lower()}", _NOT_FOUND
    if stat.S_ISDIR(mode):
        return "is a directory", _CANNOT_RUN
    if not os.access(path, os.X_OK):
        return "permission denied", _CANNOT_RUN
    return None


def exec_failure(path: bytes, exc: OSError) -> RuntimeFailure:
    """What execve(2) itself said: ``exec /x: exec format error``."""
    code = _NOT_FOUND if isinstance(exc, FileNotFoundError) else _CANNOT_RUN
    return RuntimeFailure(f"exec {os.fsdecode(path)}: {os.strerror(exc.errno or 0).lower()}", exit_code=code)

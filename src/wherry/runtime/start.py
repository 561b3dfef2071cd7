"""Start a created container: tell its init to execve."""

from wherry.runtime.create import Created
from wherry.runtime.failure import StartFailed
from wherry.runtime.handshake import release


def start_container(created: Created, *, limit_seconds: float | None = None) -> None:
    """Let the init execve and return once the user's program runs. Raises StartFailed (exit_code 126 or 127), after
    ``limit_seconds`` too.

    An init that was killed meanwhile is not an error here: its exit status tells.
    """
    if created.start_socket is None:
        raise StartFailed("start container: its init does not wait on this object")
    try:
        created.start_socket.settimeout(limit_seconds)
        release(created.start_socket)
    finally:
        created.start_socket.close()
        created.start_socket = None

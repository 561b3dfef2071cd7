"""Start a created container: tell its init to execve."""

import socket

from wherry.runtime import handshake
from wherry.runtime.create import Created
from wherry.runtime.failure import RuntimeFailure, StartFailed


def start_container(created: Created) -> None:
    """Let the init execve and return once the user's program runs. Raises StartFailed (exit_code 126 or 127).

    An init that was killed meanwhile is not an error here: its exit status tells.
    """
    if created.start_socket is None:
        raise StartFailed("start container: its init does not wait on this object")
    try:
        release(created.start_socket)
    finally:
        created.start_socket.close()
        created.start_socket = None


def release(endpoint: socket.socket) -> None:
    """Say go on the init's connection and wait for its end, which execve brings."""
    try:
        endpoint.send(handshake.GO)
        handshake.receive(endpoint)
    except (BrokenPipeError, ConnectionResetError):
        return  # the init is dead
    except RuntimeFailure as exc:
        raise StartFailed(exc.message, exit_code=exc.exit_code) from exc

"""Giving a seccomp listener to the agent at ``listenerPath`` (config-linux.md "The Container Process State")."""

import json
import socket
from typing import Any

from wherry.linux.fdsocket import connect_unix, send_with_fds
from wherry.runtime.failure import RuntimeFailure


def send_listener(path: str, metadata: str, listener_fd: int, pid: int, state: dict[str, Any]) -> None:
    """Connect, send the container process state with the descriptor, close."""
    message = {
        "ociVersion": state["ociVersion"],
        "fds": ["seccompFd"],
        "pid": pid,
        "metadata": metadata,
        "state": state,
    }
    try:
        endpoint = connect_unix(path, socket.SOCK_STREAM)
        try:
            send_with_fds(endpoint, json.dumps(message).encode(), [listener_fd])
        finally:
            endpoint.close()
    except OSError as exc:
        raise RuntimeFailure(f"send the seccomp listener to {path}: {exc.strerror}") from exc

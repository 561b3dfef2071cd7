"""Giving a seccomp listener to the agent at ``listenerPath`` (config-linux.md "The Container Process State")."""

from __future__ import annotations

from wherry import json_text
from wherry.linux import sockets
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure

if TYPE_CHECKING:
    from typing import Any


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
        endpoint = sockets.connect(path, sockets.SOCK_STREAM)
        try:
            sockets.send_with_fds(endpoint, json_text.dumps(message).encode(), [listener_fd])
        finally:
            endpoint.close()
    except OSError as exc:
        raise RuntimeFailure(f"send the seccomp listener to {path}: {exc.strerror}") from exc

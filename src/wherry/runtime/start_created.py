"""The start of a container that an earlier ``wherry-runtime create`` left waiting."""

import os

from wherry.errors import Conflict
from wherry.linux import sockets
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.handshake import release
from wherry.runtime.hooks import container_state, hooks_of, run_hooks
from wherry.runtime.state import ContainerState, Status


def start_created(kept: ContainerState) -> None:
    """Let the init of a created container execve, then run the poststart hooks.

    Raises Conflict for a container in another state, StartFailed when execve fails.
    """
    try:
        endpoint = sockets.connect(kept.start_socket, sockets.SOCK_SEQPACKET)
    except (FileNotFoundError, ConnectionRefusedError):
        status = kept.status()
        if status in (Status.RUNNING, Status.PAUSED):
            raise Conflict("cannot start an already running container") from None
        raise Conflict("cannot start a container that has stopped") from None
    try:
        release(endpoint)
    finally:
        endpoint.close()
        try:
            os.unlink(kept.start_socket)
        except FileNotFoundError:
            pass  # the container was deleted meanwhile
    spec = kept.hook_spec()
    hooks = hooks_of(spec, "poststart")
    if hooks:
        current = container_state(
            spec, container_id=kept.container_id, bundle=kept.bundle, pid=kept.pid, status=kept.status()
        )
        try:
            run_hooks("poststart", hooks, current)
        except RuntimeFailure:
            _end_all(kept)
            raise


def _end_all(kept: ContainerState) -> None:
    """A container whose poststart hook failed does not run on (runc does the same)."""
    held = kept.open_cgroups()
    if held is not None:
        try:
            held.kill_all()
        finally:
            held.close()

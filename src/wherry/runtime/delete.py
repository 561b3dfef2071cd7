"""Delete a container: its processes, cgroups and state; then the poststop hooks."""

import os
import sys

from wherry.errors import Conflict
from wherry.linux.pidfd import pidfd_open, wait_exited
from wherry.linux.signals import SIGKILL
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.hooks import container_state, hooks_of, run_hooks
from wherry.runtime.kill import kill_container
from wherry.runtime.state import ContainerState, Status

_KILL_TIMEOUT_SECONDS = 10.0


def delete_container(state: ContainerState, *, force: bool = False) -> None:
    """Raises Conflict for a container that runs, without ``force``. A created one is killed, as runc does."""
    status = state.status()
    if status != Status.STOPPED:
        if not force and status != Status.CREATED:
            raise Conflict(
                f"cannot delete container {state.container_id} that is not stopped: {status}",
                hint="Stop it first, or use --force.",
            )
        _end(state)
    spec = state.hook_spec()
    cgroups = state.open_cgroups()
    if cgroups is not None:
        try:
            cgroups.kill_all()  # in a shared pid namespace the init's end does not take the others along
            cgroups.delete()
        finally:
            cgroups.close()
    state.remove()
    run_poststop(spec, state)


def run_poststop(spec: dict[str, object], state: ContainerState) -> None:
    """A hook that fails is told and the next one runs (runtime.md "Lifecycle" step 13)."""
    for hook in hooks_of(spec, "poststop"):
        try:
            run_hooks(
                "poststop",
                [hook],
                container_state(
                    spec, container_id=state.container_id, bundle=state.bundle, pid=0, status=Status.STOPPED
                ),
            )
        except RuntimeFailure as exc:
            print(exc.message, file=sys.stderr)


def _end(state: ContainerState) -> None:
    try:
        pidfd = pidfd_open(state.pid)
    except ProcessLookupError:
        return
    try:
        if state.status() == Status.STOPPED:
            return
        try:
            kill_container(state, SIGKILL)
        except Conflict:
            return  # it has just ended by itself
        if not wait_exited(pidfd, _KILL_TIMEOUT_SECONDS):
            raise RuntimeFailure(f"kill container {state.container_id}: its init is still there")
    finally:
        os.close(pidfd)

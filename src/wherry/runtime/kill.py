"""Signal a container: its init by pidfd, or every process in its cgroups."""

import os
import re
import signal

from wherry.errors import Conflict, InvalidParameter
from wherry.linux.pidfd import pidfd_open, send_signal
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.state import ContainerState, Status, process_start_time


def parse_signal(text: str) -> signal.Signals | int:
    """``KILL``, ``SIGKILL``, ``sigkill``, ``9``, ``RTMIN+3``. Raises InvalidParameter."""
    name = text.upper().removeprefix("SIG")
    if name.isdigit() and int(name) in signal.valid_signals():
        return int(name)
    if offset := re.fullmatch(r"RT(MIN\+|MAX-)(\d+)", name):
        base, sign = (signal.SIGRTMIN, 1) if offset[1] == "MIN+" else (signal.SIGRTMAX, -1)
        number = base + sign * int(offset[2])
        if signal.SIGRTMIN <= number <= signal.SIGRTMAX:
            return number
    elif f"SIG{name}" in signal.Signals.__members__:
        return signal.Signals[f"SIG{name}"]
    raise InvalidParameter(f'unknown signal "{text}"')


def kill_container(state: ContainerState, number: int, *, everything: bool = False) -> None:
    """Raises Conflict when the container does not run. A frozen container is thawed to die (R34)."""
    if everything:
        _kill_all(state, number)
        return
    if state.status() is Status.STOPPED:
        raise Conflict("container not running")
    signal_init(state, number)
    if number == signal.SIGKILL:
        cgroups = state.open_cgroups()
        if cgroups is not None:
            try:
                if cgroups.is_frozen():
                    cgroups.thaw()
            finally:
                cgroups.close()


def signal_init(state: ContainerState, number: int) -> None:
    """Signal the init and nobody who has its number now. Raises Conflict when it has ended."""
    try:
        pidfd = pidfd_open(state.pid)
    except ProcessLookupError:
        raise Conflict("container not running") from None
    try:
        if process_start_time(state.pid) != state.start_time:
            raise Conflict("container not running")
        send_signal(pidfd, number)
    except ProcessLookupError:
        raise Conflict("container not running") from None
    finally:
        os.close(pidfd)


def _kill_all(state: ContainerState, number: int) -> None:
    cgroups = state.open_cgroups()
    if cgroups is None:
        raise RuntimeFailure("kill all processes: the container has no cgroup")
    try:
        cgroups.kill_all(number)
    finally:
        cgroups.close()

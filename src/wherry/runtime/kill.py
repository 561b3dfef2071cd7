"""Signal a container: its init by pidfd, or every process in its cgroups."""

import os

from wherry.errors import Conflict, InvalidParameter
from wherry.linux import signals
from wherry.linux.pidfd import pidfd_open, send_signal
from wherry.runtime.failure import RuntimeFailure
from wherry.runtime.state import ContainerState, Status, process_start_time


def parse_signal(text: str) -> int:
    """``KILL``, ``SIGKILL``, ``sigkill``, ``9``, ``RTMIN+3``. Raises InvalidParameter."""
    name = text.upper().removeprefix("SIG")
    base, offset = name[:6], name[6:]
    number: int | None
    if name.isdecimal():
        number = int(name)
    elif base in ("RTMIN+", "RTMAX-") and offset.isdecimal():
        number = signals.SIGRTMIN + int(offset) if base == "RTMIN+" else signals.SIGRTMAX - int(offset)
        if not signals.SIGRTMIN <= number <= signals.SIGRTMAX:
            number = None
    else:
        number = signals.named(name)
    if number in signals.valid_signals():
        return number
    raise InvalidParameter(f'unknown signal "{text}"')


def kill_container(state: ContainerState, number: int, *, everything: bool = False) -> None:
    """Raises Conflict when the container does not run. A frozen container is thawed to die (R34)."""
    if everything:
        _kill_all(state, number)
        return
    if state.status() == Status.STOPPED:
        raise Conflict("container not running")
    signal_init(state, number)
    if number == signals.SIGKILL:
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

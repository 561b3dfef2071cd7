"""Remove a container by Docker's rules; the work is ``removal.py``."""

import signal

from wherry.containers import kill, lifecycle, removal
from wherry.containers.container import Container, Status
from wherry.containers.links import remove_link
from wherry.containers.services import Services
from wherry.errors import Conflict, Unavailable

_EXIT_SECONDS = 10.0
_RELEASE_SECONDS = 20.0


def remove(
    services: Services, reference: str, *, force: bool = False, volumes: bool = False, link: bool = False
) -> None:
    """Conflict for a running one without ``force``. ``volumes`` takes its anonymous volumes along.
    With ``link`` the reference is ``container/alias`` and only that link goes."""
    if link:
        remove_link(services, reference)
        return
    container = services.containers.get(reference)
    if container.running:
        _check_force(container, reference, force=force)
        _kill(services, container)
    with container.verb:
        if container.removed:
            return  # --rm was quicker: it is gone, as asked
        if container.running:
            _check_force(container, reference, force=force)
            _kill(services, container)
        if not lifecycle.wait_until_released(container, _RELEASE_SECONDS):
            raise Unavailable(f"remove container {container.id}: its last run does not end")
        removal.remove_locked(services, container, volumes=volumes or container.record.host_config.auto_remove)


def _check_force(container: Container, reference: str, *, force: bool) -> None:
    if force:
        return
    if container.state.status is Status.PAUSED:
        raise Conflict(
            f'cannot remove container "{_shown(container)}": container is paused and must be unpaused first'
        )
    raise Conflict(
        f'cannot remove container "{_shown(container)}": container is {container.state.status}: stop the container '
        "before removing or force remove"
    )


def _shown(container: Container) -> str:
    return f"/{container.name}"


def _kill(services: Services, container: Container) -> None:
    container.state.manually_stopped = True
    try:
        kill.send(services, container, int(signal.SIGKILL))
    except Conflict:
        pass  # it ended by itself
    with container.changed:
        gone = container.changed.wait_for(lambda: not container.running, _EXIT_SECONDS)
    if not gone:
        raise Unavailable(f"could not kill container {container.id}: it does not end after SIGKILL")

"""Take a stopped container away: row first, then what it named (R01: a crash leaves only what recovery sweeps).

The verb with its rules is ``remove.py``; auto-removal calls this directly.
"""

import os
import secrets
import shutil
import time

from wherry.containers.attach_parking import take_parked
from wherry.containers.container import Container, Trigger
from wherry.containers.container_events import publish
from wherry.containers.data_dir import data_dir
from wherry.containers.services import Services
from wherry.errors import Conflict, NotFound
from wherry.metadata.database import DatabaseFull
from wherry.settings import Settings

_ROOM_SECONDS = 5.0
_ROOM_STEP_SECONDS = 0.05


def remove_locked(services: Services, container: Container, *, volumes: bool) -> None:
    """Remove it; the caller holds the verb lock and has checked that it does not run."""
    with container.changed:
        container.move(Trigger.REMOVE)
    try:
        if not volumes:
            _keep_volumes(services, container)
        _delete_row(services, container)
        services.snapshotter.remove(container.id)
        _discard_data(services, container.id)
    except BaseException:
        container.move(Trigger.REMOVE_FAILED)
        raise
    for client in take_parked(container):
        client.close()
    services.execs.forget(container)
    _release_volumes(services, container, remove_anonymous=volumes)
    publish(services.events, container, "destroy")
    with container.changed:
        container.removed = True
        container.tell_changed()


def trash_dir(settings: Settings) -> str:
    """Where data directories wait for their deletion."""
    return f"{settings.data_root}/containers/.trash"


def _delete_row(services: Services, container: Container) -> None:
    try:
        services.containers.delete(container)
    except DatabaseFull:
        # What is to be removed may be what fills the disk (R06): with its layer gone there is room for the change.
        services.snapshotter.remove(container.id)
        deadline = time.monotonic() + _ROOM_SECONDS
        while True:
            time.sleep(_ROOM_STEP_SECONDS)  # the layer's files are deleted by another thread
            try:
                services.containers.delete(container)
                return
            except DatabaseFull:
                if time.monotonic() > deadline:
                    raise


def _discard_data(services: Services, container_id: str) -> None:
    target = f"{trash_dir(services.settings)}/{secrets.token_hex(8)}"
    try:
        os.rename(data_dir(services.settings, container_id), target)
    except FileNotFoundError:
        return  # an earlier attempt came this far
    services.background(lambda: shutil.rmtree(target, ignore_errors=True))


def _keep_volumes(services: Services, container: Container) -> None:
    """Before the row goes: recovery takes anonymous volumes whose container is gone for left by a crash."""
    for point in container.record.mounts:
        if point.type == "volume" and point.anonymous:
            services.volumes.keep(point.name)


def _release_volumes(services: Services, container: Container, *, remove_anonymous: bool) -> None:
    for point in container.record.mounts:
        if point.type != "volume":
            continue
        services.volumes.release(point.name, container.id)
        if point.anonymous and remove_anonymous:
            try:
                services.volumes.remove(point.name)
            except Conflict:
                services.volumes.keep(point.name)  # another container has it by --volumes-from
            except NotFound:
                pass  # somebody removed it: nothing left to do

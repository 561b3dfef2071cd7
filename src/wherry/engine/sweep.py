"""Remove what no container owns: directories, snapshots, cgroups that a crash left behind (oracle M)."""

import errno
import os
import shutil
from functools import partial

from wherry.containers.cgroup_sweep import remove_cgroup
from wherry.containers.removal import trash_dir
from wherry.containers.shm import unmount_shm
from wherry.engine.engine import Engine
from wherry.errors import Conflict, WherryError
from wherry.log import get_logger
from wherry.monitor.client import MonitorConnection, MonitorGone
from wherry.runtime import cgroups

_logger = get_logger(__name__)

_SIGKILL = 9
_ID_LENGTH = 64
_CGROUP_DEPTH = 4


def sweep(engine: Engine, live: set[str]) -> None:
    """``live``: ids of the containers whose monitor was adopted."""
    known = {container.id for container in engine.containers.all()}
    _sweep_run_dirs(engine, live, known)
    _sweep_data_dirs(engine, known)
    _sweep_snapshots(engine, known)
    _sweep_volumes(engine, known)
    _sweep_cgroups(engine, live)


def _sweep_run_dirs(engine: Engine, live: set[str], known: set[str]) -> None:
    root = f"{engine.settings.run_root}/containers"
    for name in os.listdir(root):
        if name in live:
            continue
        path = f"{root}/{name}"
        if name not in known:
            _end_unknown(engine, path, name)
        unmount_shm(path)
        shutil.rmtree(path, ignore_errors=True)


def _end_unknown(engine: Engine, path: str, container_id: str) -> None:
    """A monitor whose container has no row: the row was deleted, or its database is another one."""
    try:
        connection = MonitorConnection.connect(path, container_id, engine.dispatcher)
    except MonitorGone:
        return
    try:
        connection.stop(_SIGKILL, 0)
    except WherryError as exc:
        _logger.warning("end monitor of unknown container %s: %s", container_id[:12], exc)
    connection.close()


def _sweep_data_dirs(engine: Engine, known: set[str]) -> None:
    root = f"{engine.settings.data_root}/containers"
    doomed = [f"{root}/{name}" for name in os.listdir(root) if name not in known and not name.startswith(".")]
    trash = trash_dir(engine.settings)
    doomed += [f"{trash}/{name}" for name in os.listdir(trash)]
    for path in doomed:
        engine.workers.run(partial(shutil.rmtree, path, ignore_errors=True))


def _sweep_snapshots(engine: Engine, known: set[str]) -> None:
    for snapshot in engine.snapshotter.all():
        # Other owners' keys (build steps) are not container ids, and are theirs to sweep.
        if not snapshot.committed and len(snapshot.key) == _ID_LENGTH and snapshot.key not in known:
            engine.snapshotter.remove(snapshot.key)


def _sweep_volumes(engine: Engine, known: set[str]) -> None:
    """Anonymous volumes of containers that were being created or removed. Not at once: it deletes directories."""
    for name in engine.volumes.orphans(known):
        engine.workers.run(partial(_remove_volume, engine, name))


def _remove_volume(engine: Engine, name: str) -> None:
    try:
        engine.volumes.remove(name, force=True)
    except Conflict:
        engine.volumes.keep(name)  # a container has it by --volumes-from


def _sweep_cgroups(engine: Engine, live: set[str]) -> None:
    found: dict[str, str] = {}
    for mount_point in _mount_points():
        _find(mount_point, engine.settings.cgroup_root.strip("/"), found, 0)
    for container_id, path in found.items():
        if container_id not in live:
            _logger.warning("remove orphaned cgroup %s", path)
            remove_cgroup(path, container_id)


def remove_cgroup_root(engine: Engine) -> None:
    """At the engine's end: take its own cgroups away when no container is in them."""
    for mount_point in _mount_points():
        path = f"{mount_point}/{engine.settings.cgroup_root.strip('/')}"
        for directory, _, _ in os.walk(path, topdown=False):
            try:
                os.rmdir(directory)
            except OSError as exc:
                if exc.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.ENOENT):
                    raise
                # a container lives in or below it


def _mount_points() -> list[str]:
    """Every hierarchy; of a hybrid the unified one too: runc makes cgroups there although it has no controllers."""
    layout = cgroups.system_layout()
    return [hierarchy.mount_point for hierarchy in layout.hierarchies] + ([layout.unified] if layout.unified else [])


def _find(mount_point: str, path: str, found: dict[str, str], depth: int) -> None:
    try:
        with os.scandir(f"{mount_point}/{path}") as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return
    for name in names:
        if len(name) == _ID_LENGTH and all(character in "0123456789abcdef" for character in name):
            found[name] = f"/{path}/{name}"
        elif depth < _CGROUP_DEPTH:  # a --cgroup-parent
            _find(mount_point, f"{path}/{name}", found, depth + 1)

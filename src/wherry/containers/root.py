"""A container's root directory as a descriptor, whether it runs or not. Nobody enters it: paths are looked up
below the descriptor with openat2 (SECURITY.md, facts 1 and 2).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from wherry.containers.account_files import AccountFiles, AccountFilesCache
from wherry.containers.container import Container, Status
from wherry.containers.services import Services
from wherry.errors import Conflict, InvalidParameter
from wherry.linux.filesystem import open_in_root

_cache = AccountFilesCache()


@contextmanager
def root_of(services: Services, container: Container, *, readonly: bool) -> Iterator[int]:
    """The merged file system: of a running container what its init sees (volumes and tmpfs included), of a stopped
    one its snapshot on a detached mount."""
    if container.state.status in (Status.RUNNING, Status.PAUSED) and container.state.pid:
        with running_root(container) as fd:
            yield fd
    else:
        with services.snapshotter.mounted(container.id, readonly=readonly) as fd:
            yield fd


@contextmanager
def running_root(container: Container) -> Iterator[int]:
    """The root of the container's init, pinned. Conflict when it is not running."""
    pid = container.state.pid
    try:
        fd = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as exc:
        raise Conflict(f"container {container.id} is not running") from exc
    try:
        # The monitor reaps the init only after it told us; a pid that is still ours now was ours at the open (R38).
        if container.state.pid != pid or not container.running:
            raise Conflict(f"container {container.id} is not running")
        yield fd
    finally:
        os.close(fd)


def account_files(services: Services, container: Container, upper: str) -> AccountFiles:
    """passwd and group of a container that is about to start; ``upper`` is its writable layer's directory."""
    chain_id = container.record.chain_id
    untouched = bool(upper) and not os.path.lexists(f"{upper}/etc")
    if untouched and (files := _cache.get(chain_id)) is not None:
        return files
    with services.snapshotter.mounted(container.id, readonly=True) as root_fd:
        files = AccountFiles.read(root_fd)
    if untouched:
        _cache.put(chain_id, files)
    return files


def running_account_files(container: Container) -> AccountFiles:
    """passwd and group as a process in the running container would see them."""
    with running_root(container) as root_fd:
        return AccountFiles.read(root_fd)


def make_working_directory(services: Services, container: Container, path: str) -> None:
    """Create a missing WorkingDir (and its parents) inside the root, owned by root, as dockerd does."""
    with services.snapshotter.mounted(container.id) as root_fd:
        done = ""
        for part in filter(None, path.split("/")):
            done = f"{done}/{part}"
            try:
                os.close(open_in_root(root_fd, done, os.O_PATH | os.O_DIRECTORY))
            except NotADirectoryError as exc:
                raise InvalidParameter(f"Cannot mkdir: {done} is not a directory") from exc
            except FileNotFoundError:
                parent = open_in_root(root_fd, done.rpartition("/")[0] or "/", os.O_RDONLY | os.O_DIRECTORY)
                try:
                    os.mkdir(part, 0o755, dir_fd=parent)
                finally:
                    os.close(parent)

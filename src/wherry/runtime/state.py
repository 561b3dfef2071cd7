"""What ``wherry-runtime`` keeps of a container between its commands, and the status that follows from it.

On disk, below ``--root`` (a tmpfs): ``<id>/state.json`` (written once, atomically, when the container is created),
``<id>/config.json`` (the bundle's at that time) and ``<id>/start.sock``, on which the init waits: it is there until
the container was started. One command at a time changes a container: the kernel arbitrates (mkdir, connect, rmdir).
"""

from __future__ import annotations

import os

from wherry import json_text
from wherry.errors import Conflict, InvalidParameter, NotFound
from wherry.record import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Any

    from wherry.runtime.cgroups import Cgroups

_ID_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_+.-")


class Status:
    """runtime.md "State"; paused is runc's addition. No StrEnum: enum would be a quarter of a command's time."""

    CREATING = "creating"
    CREATED = "created"
    RUNNING = "running"
    PAUSED = "paused"
    STOPPED = "stopped"


class ContainerState(NamedTuple):
    """The content of state.json."""

    container_id: str
    bundle: str
    rootfs: str
    pid: int
    start_time: int  # of the process, in clock ticks since boot: tells a reused pid
    created: str  # RFC 3339
    cgroups: dict[str, Any] | None  # Cgroups.save
    annotations: dict[str, str]
    oci_version: str
    hooks: dict[str, Any]  # those of config.json that run after the creation
    new_keyring: bool
    directory: str

    def spec(self) -> dict[str, Any]:
        """The container's config.json."""
        with open(f"{self.directory}/config.json", encoding="utf-8") as file:
            return dict(json_text.loads(file.read()))

    def hook_spec(self) -> dict[str, Any]:
        """What of config.json the hooks after the creation need, without reading it."""
        return {"ociVersion": self.oci_version, "annotations": self.annotations, "hooks": self.hooks}

    def open_cgroups(self) -> Cgroups | None:
        """The container's cgroups; the caller closes."""
        if not self.cgroups:
            return None
        from wherry.runtime import cgroups  # start-up cost: most commands do without

        return cgroups.load(self.cgroups)

    @property
    def start_socket(self) -> str:
        """Where the init waits for the start."""
        return f"{self.directory}/start.sock"

    def status(self) -> str:
        """What the kernel says now."""
        if not self.pid or process_start_time(self.pid) != self.start_time:
            return Status.STOPPED
        if os.path.exists(self.start_socket):
            return Status.CREATED
        held = self.open_cgroups()
        if held is not None:
            try:
                if held.is_frozen():
                    return Status.PAUSED
            finally:
                held.close()
        return Status.RUNNING

    def save(self) -> None:
        """Write state.json."""
        temporary = f"{self.directory}/.state.json"
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(json_text.dumps(self._asdict()))
        os.rename(temporary, f"{self.directory}/state.json")

    def remove(self) -> None:
        """Forget the container. Idempotent."""
        remove_directory(self.directory)


def process_start_time(pid: int) -> int | None:
    """Field 22 of /proc/<pid>/stat; None when there is no such process, or only its zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in (b"Z", b"X") else int(fields[19])


def check_id(container_id: str) -> None:
    """Raises InvalidParameter unless the id can be the name of a directory."""
    if not container_id or not _ID_CHARACTERS.issuperset(container_id) or container_id in (".", ".."):
        raise InvalidParameter(f"invalid id format: {container_id}")


def make_directory(root: str, container_id: str) -> str:
    """Claim the id. Raises Conflict when it is taken."""
    check_id(container_id)
    os.makedirs(root, mode=0o700, exist_ok=True)
    directory = f"{root}/{container_id}"
    try:
        os.mkdir(directory, 0o711)
    except FileExistsError:
        raise Conflict("container with given ID already exists") from None
    return directory


def remove_directory(directory: str) -> None:
    """Remove a state directory and the files in it. Idempotent."""
    try:
        for name in os.listdir(directory):
            os.unlink(f"{directory}/{name}")
        os.rmdir(directory)
    except FileNotFoundError:
        pass  # another delete was faster


def remove_unfinished(root: str, container_id: str) -> None:
    """Remove what a create that was killed has left of its state."""
    check_id(container_id)
    remove_directory(f"{root}/{container_id}")


def load(root: str, container_id: str) -> ContainerState:
    """Raises NotFound."""
    check_id(container_id)
    directory = f"{root}/{container_id}"
    try:
        with open(f"{directory}/state.json", encoding="utf-8") as file:
            saved = json_text.loads(file.read())
    except FileNotFoundError:
        raise NotFound("container does not exist") from None
    return ContainerState(**{**saved, "directory": directory})


def load_all(root: str) -> list[ContainerState]:
    """Every container of the root; one that is being made or removed is left out."""
    try:
        names = sorted(os.listdir(root))
    except FileNotFoundError:
        return []
    found = []
    for name in names:
        try:
            found.append(load(root, name))
        except (NotFound, InvalidParameter):
            continue
    return found

"""CDI specifications (Container Device Interface, 0.3 to 1.0): what a device's vendor wants done to a container.

Files ``*.json`` in the directories of the setting ``cdi-spec-dirs``; a device in a later directory takes the place of
one in an earlier. They name host devices, host paths and programs that run as root, so they are the administrator's
own words: a file that anybody but root can write, or that is a link, is refused. A client can only name devices.
YAML is not read (there is no parser among our dependencies).
"""

import errno
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from wherry.containers.wire import wire_name
from wherry.errors import System

_QUALIFIED = re.compile(
    r"[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?/[A-Za-z](?:[A-Za-z0-9_.-]*[A-Za-z0-9])?="
    r"[A-Za-z0-9](?:[A-Za-z0-9_.:-]*[A-Za-z0-9])?\Z"
)
_SIZE_LIMIT = 4 << 20


def _camel(name: str) -> str:
    spelled = wire_name(name)
    return spelled[0].lower() + spelled[1:]


class _Spec(msgspec.Struct, rename=_camel):
    """Base: camelCase on disk. Unknown members are ignored."""


class DeviceNode(_Spec):
    """A device in the container. ``host_path`` empty is ``path``; what is not given is the host's."""

    path: str
    host_path: str = ""
    type: str = ""
    major: int | None = None
    minor: int | None = None
    file_mode: int | None = None
    permissions: str = ""
    uid: int | None = None
    gid: int | None = None


class Mount(_Spec):
    """A bind of the host."""

    host_path: str
    container_path: str
    type: str = ""
    options: list[str] | None = None


class Hook(_Spec):
    """An OCI hook: ``path`` is on the host; it runs as root."""

    hook_name: str
    path: str
    args: list[str] | None = None
    env: list[str] | None = None
    timeout: int | None = None


class Edits(_Spec):
    """What is added to a container. The two last are known and not done here."""

    env: list[str] | None = None
    device_nodes: list[DeviceNode] | None = None
    mounts: list[Mount] | None = None
    hooks: list[Hook] | None = None
    additional_gids: list[int] | None = msgspec.field(default=None, name="additionalGids")
    net_devices: list[Any] | None = None
    intel_rdt: dict[str, Any] | None = None


class Device(_Spec):
    """One device of a kind."""

    name: str
    container_edits: Edits = msgspec.field(default_factory=Edits)


class Spec(_Spec):
    """One file. Its own edits are made once, with any of its devices."""

    cdi_version: str
    kind: str
    devices: list[Device] = []
    container_edits: Edits = msgspec.field(default_factory=Edits)


@dataclass(frozen=True, slots=True)
class Found:
    """One device and the file that it is from."""

    name: str
    device: Device
    spec: Spec


class CdiFailed(System):
    """moby's words around what is wrong."""

    def __init__(self, reason: str, *, hint: str | None = None) -> None:
        super().__init__(f"CDI device injection failed: {reason}", hint=hint)


def is_qualified(name: str) -> bool:
    """``vendor.com/class=name``."""
    return _QUALIFIED.match(name) is not None


def read_devices(directories: Sequence[str]) -> dict[str, Found]:
    """Every device by qualified name. Raises CdiFailed for a file that cannot be trusted or read, and for two of one
    directory that have the same device."""
    devices: dict[str, Found] = {}
    for directory in directories:
        here: dict[str, Found] = {}
        for path in _files(directory, ".json"):
            spec = _read(path)
            for device in spec.devices:
                name = f"{spec.kind}={device.name}"
                if not is_qualified(name):
                    raise CdiFailed(f"{path}: invalid device name {name!r}")
                if name in here:
                    raise CdiFailed(f"conflicting device {name!r} in {path}")
                here[name] = Found(name, device, spec)
        devices.update(here)
    return devices


def unread_files(directories: Sequence[str]) -> list[str]:
    """The YAML files, for the message about a device that is not found."""
    return [path for directory in directories for path in _files(directory, (".yaml", ".yml"))]


def _files(directory: str, endings: str | tuple[str, ...]) -> Iterator[str]:
    try:
        names = sorted(os.listdir(directory))
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (f"{directory}/{name}" for name in names if name.endswith(endings))


def _read(path: str) -> Spec:
    try:
        _check_writers(os.lstat(os.path.dirname(path)), os.path.dirname(path))
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        reason = "a symbolic link" if exc.errno == errno.ELOOP else exc.strerror
        raise CdiFailed(f"{path}: {reason}") from exc
    with open(fd, "rb") as file:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            raise CdiFailed(f"{path}: not a regular file")
        _check_writers(found, path)
        data = file.read(_SIZE_LIMIT + 1)
    if len(data) > _SIZE_LIMIT:
        raise CdiFailed(f"{path}: larger than {_SIZE_LIMIT} bytes")
    try:
        return msgspec.json.decode(data, type=Spec)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise CdiFailed(f"{path}: {exc}") from exc


def _check_writers(found: os.stat_result, path: str) -> None:
    if found.st_uid != 0 or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CdiFailed(
            f"{path}: others than root can write it",
            hint="Whoever writes there decides what runs as root: chown root and chmod go-w.",
        )

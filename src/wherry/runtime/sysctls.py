"""Kernel parameters of the container's own namespaces (S43), written through a private procfs (S41)."""

import os
from collections.abc import Mapping
from typing import Any

from wherry.linux import mount_api
from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2
from wherry.linux.mount_api import FileSystemContext
from wherry.runtime.failure import RuntimeFailure, SpecInvalid

_IPC = frozenset(
    [
        "kernel/msgmax",
        "kernel/msgmnb",
        "kernel/msgmni",
        "kernel/sem",
        "kernel/shmall",
        "kernel/shmmax",
        "kernel/shmmni",
        "kernel/shm_rmid_forced",
    ]
)
_UTS = {"kernel/hostname", "kernel/domainname"}


def check_sysctls(spec: dict[str, Any]) -> dict[str, str]:
    """The spec's ``linux.sysctl`` as {path below /proc/sys: value}. Raises SpecInvalid for any that is not a
    parameter of a namespace that the container has to itself."""
    linux = spec.get("linux") or {}
    own = {entry["type"] for entry in linux.get("namespaces") or ()}
    new = {entry["type"] for entry in linux.get("namespaces") or () if not entry.get("path")}
    return {_path(name, own, new, spec): str(value) for name, value in (linux.get("sysctl") or {}).items()}


def _path(name: str, own: set[str], new: set[str], spec: dict[str, Any]) -> str:
    path = name if "/" in name.split(".", 1)[0] else name.replace("/", "\0").replace(".", "/").replace("\0", ".")
    parts = path.split("/")
    if not all(parts) or ".." in parts or "." in parts or "\n" in path or "\0" in path:
        raise SpecInvalid(f'invalid sysctl "{name}"')
    if path in _IPC or path.startswith("fs/mqueue/"):
        _require("ipc" in own, name, "IPC")
    elif path.startswith("net/"):
        _require("network" in own, name, "network")
    elif path in _UTS:
        _require("uts" in new, name, "UTS")
        if path == "kernel/hostname":
            raise SpecInvalid(f'sysctl "{name}" is in conflict with the OCI "hostname" field')
    elif path.startswith("user/"):
        _require("user" in own, name, "user")
    else:
        raise SpecInvalid(f'sysctl "{name}" is not in a separate kernel namespace')
    return path


def _require(present: bool, name: str, kind: str) -> None:
    if not present:
        raise SpecInvalid(f'sysctl "{name}" is not allowed in the hosts {kind} namespace')


def write_sysctls(values: Mapping[str, str]) -> None:
    """In the init. The procfs is one that nobody else sees: no mount in it can redirect the write."""
    if not values:
        return
    with FileSystemContext("proc") as context:
        context.create()
        proc = context.mount(mount_api.MOUNT_ATTR_NOSUID | mount_api.MOUNT_ATTR_NODEV | mount_api.MOUNT_ATTR_NOEXEC)
    try:
        for path, value in values.items():
            _write(proc, f"sys/{path}", value)
    finally:
        os.close(proc)


def _write(proc: int, path: str, value: str) -> None:
    try:
        fd = openat2(proc, path, os.O_WRONLY, resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV)
        try:
            os.write(fd, os.fsencode(value))
        finally:
            os.close(fd)
    except OSError as exc:
        raise RuntimeFailure(f"write sysctl {path[4:].replace('/', '.')} = {value}: {exc.strerror}") from exc

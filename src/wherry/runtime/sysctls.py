"""Writing the kernel parameters of the container's own namespaces, through a private procfs (S41).

Which parameters those are is ``security/sysctls.py`` (S43).
"""

from __future__ import annotations

import errno
import os

from wherry.linux import mount_api
from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2
from wherry.linux.mount_api import FileSystemContext
from wherry.linux.namespaces import PROC_NAMES
from wherry.record import TYPE_CHECKING
from wherry.runtime.failure import RuntimeFailure
from wherry.security.sysctls import components, validate

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def check_sysctls(spec: dict[str, Any], *, network_given: bool = False) -> dict[str, str]:
    """The spec's ``linux.sysctl`` as {path below /proc/sys: value}.

    ``network_given``: the caller has prepared the network namespace and may be in it.
    Raises InvalidSysctl for any that is not a parameter of a namespace that the container has to itself.
    """
    linux = spec.get("linux") or {}
    values = {str(name): str(value) for name, value in (linux.get("sysctl") or {}).items()}
    own = {entry["type"] for entry in linux.get("namespaces") or () if not _is_ours(entry)}
    if network_given:
        own.add("network")
    validate(values, own, hostname=bool(spec.get("hostname")))
    return {"/".join(components(name)): value for name, value in values.items()}


def _is_ours(entry: Mapping[str, Any]) -> bool:
    """Whether a namespace that is joined by path is the caller's own, which it would share with the container."""
    kind, path = entry.get("type", ""), entry.get("path")
    if not path or kind not in PROC_NAMES:
        return False
    try:
        return os.path.samestat(os.stat(path), os.stat(f"/proc/self/ns/{PROC_NAMES[kind]}"))
    except OSError:
        return False  # opening the path tells what is wrong with it


def write_sysctls(values: Mapping[str, str]) -> None:
    """In the init. The procfs is one that nobody else sees: no mount in it can redirect the write."""
    if not values:
        return
    with FileSystemContext("proc") as context:
        context.create()
        proc = context.mount(mount_api.MOUNT_ATTR_NOSUID | mount_api.MOUNT_ATTR_NODEV | mount_api.MOUNT_ATTR_NOEXEC)
    try:
        for path, value in values.items():
            _write(proc, path, value)
    finally:
        os.close(proc)


def _write(proc: int, path: str, value: str) -> None:
    resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV
    try:
        fd = openat2(proc, f"sys/{path}", os.O_WRONLY, resolve=resolve)
        try:
            os.write(fd, os.fsencode(value))
        finally:
            os.close(fd)
    except OSError as exc:
        if exc.errno == errno.ENOENT:
            # runc's words, and Docker's exit code for whatever "no such file or directory" stands in.
            raise RuntimeFailure(f"open /proc/sys/{path}: no such file or directory", exit_code=127) from exc
        raise RuntimeFailure(f"write sysctl {path} = {value}: {exc.strerror}") from exc

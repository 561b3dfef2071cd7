"""AppArmor profile and SELinux label of a process, set for its execve where the kernel has them."""

from __future__ import annotations

import os

from wherry.linux import mount_api
from wherry.linux.filesystem import RESOLVE_BENEATH, RESOLVE_NO_SYMLINKS, RESOLVE_NO_XDEV, openat2
from wherry.linux.mount_api import FileSystemContext
from wherry.record import TYPE_CHECKING, NamedTuple
from wherry.runtime.failure import RuntimeFailure

if TYPE_CHECKING:
    from typing import Any

_APPARMOR_SWITCH = "/sys/module/apparmor/parameters/enabled"
_SELINUX = "/sys/fs/selinux"


def apparmor_enabled() -> bool:
    """Whether the running kernel enforces AppArmor profiles."""
    try:
        with open(_APPARMOR_SWITCH, "rb") as file:
            return file.read(1) == b"Y"
    except FileNotFoundError:
        return False


def selinux_enabled() -> bool:
    """Whether SELinux is active."""
    return os.path.exists(f"{_SELINUX}/enforce")


class ProcessLabels(NamedTuple):
    """Empty strings: nothing to set."""

    apparmor: str
    selinux: str

    def apply_on_exec(self) -> None:
        """Ask for the labels at the next execve, through a procfs that nobody can have prepared (S41)."""
        if self.apparmor:
            _write_attribute(("attr/apparmor/exec", "attr/exec"), f"exec {self.apparmor}")
        if self.selinux:
            _write_attribute(("attr/exec",), self.selinux)


def prepare_labels(process: dict[str, Any]) -> ProcessLabels:
    """What of the request this kernel can do; AppArmor that is asked for and absent is an error, as with runc."""
    apparmor = process.get("apparmorProfile") or ""
    if apparmor and not apparmor_enabled():
        raise RuntimeFailure(f'apply apparmor profile "{apparmor}": apparmor is not enabled on this host')
    selinux = (process.get("selinuxLabel") or "") if selinux_enabled() else ""
    return ProcessLabels(apparmor, selinux)


def _write_attribute(names: tuple[str, ...], value: str) -> None:
    with FileSystemContext("proc") as context:
        context.create()
        proc = context.mount(mount_api.MOUNT_ATTR_NOSUID | mount_api.MOUNT_ATTR_NODEV | mount_api.MOUNT_ATTR_NOEXEC)
    try:
        for name in names:
            try:
                fd = openat2(
                    proc,
                    f"{os.getpid()}/{name}",
                    os.O_WRONLY,
                    resolve=RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV,
                )
            except FileNotFoundError:
                continue
            try:
                os.write(fd, os.fsencode(value))
            except OSError as exc:
                raise RuntimeFailure(f'apply label "{value}": {exc.strerror}') from exc
            finally:
                os.close(fd)
            return
        raise RuntimeFailure(f'apply label "{value}": the kernel has no {names[0]}')
    finally:
        os.close(proc)

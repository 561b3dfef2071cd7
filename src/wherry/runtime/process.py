"""The OCI ``process``: read and checked by the caller, put on by the init (or an exec) just before execve.

The order of :func:`confine` is SECURITY.md "Mechanisms"; each step needs what the later ones take away.
"""

from __future__ import annotations

import errno
import os
import stat

from wherry.linux import capabilities, process, seccomp
from wherry.linux.filesystem import open_regular_in_root
from wherry.record import TYPE_CHECKING, NamedTuple, Protocol
from wherry.runtime.executable import find_executable
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.runtime.labels import ProcessLabels, prepare_labels
from wherry.runtime.rlimits import set_own
from wherry.runtime.scheduling import Scheduling, apply_scheduling, prepare_scheduling

if TYPE_CHECKING:
    from typing import Any

    from wherry.security.bpf import CompiledFilter

_MAX_ID = 0xFFFFFFFE
_PASSWD_LIMIT = 1 << 20
_FULL_SET = (1 << 64) - 1


class CapabilitySets(NamedTuple):
    """Bit masks (linux/capabilities.py)."""

    bounding: int
    effective: int
    permitted: int
    inheritable: int
    ambient: int


class PreparedProcess(NamedTuple):
    """A process with everything that needs the host looked up already."""

    args: list[bytes]
    env: dict[bytes, bytes]
    cwd: bytes
    uid: int
    gid: int
    groups: list[int]
    umask: int
    terminal: bool
    console_size: tuple[int, int] | None  # rows, columns
    no_new_privileges: bool
    capabilities: CapabilitySets
    rlimits: list[tuple[str, int, int]]
    oom_score_adj: int | None
    seccomp: CompiledFilter | None
    labels: ProcessLabels
    scheduling: Scheduling
    warnings: list[str]


def prepare_process(
    spec_process: dict[str, Any], spec: dict[str, Any], *, in_user_namespace: bool
) -> PreparedProcess:
    """Check an OCI ``process`` against the machine. Raises SpecInvalid."""
    args = spec_process.get("args") or []
    if not args:
        raise SpecInvalid("process args cannot be empty")
    cwd = spec_process.get("cwd") or ""
    if not cwd.startswith("/"):
        raise SpecInvalid("Cwd must be an absolute path")
    user = spec_process.get("user") or {}
    for key in ("uid", "gid"):
        if not 0 <= user.get(key, 0) <= _MAX_ID:
            raise SpecInvalid(f"process.user.{key} {user[key]} is out of range")
    warnings: list[str] = []
    size = spec_process.get("consoleSize")
    profile = (spec.get("linux") or {}).get("seccomp")
    umask = user.get("umask")
    return PreparedProcess(
        args=[os.fsencode(argument) for argument in args],
        env=_environment(spec_process.get("env") or []),
        cwd=os.fsencode(cwd),
        uid=user.get("uid", 0),
        gid=user.get("gid", 0),
        groups=list(user.get("additionalGids") or []),
        umask=0o022 if umask is None else umask,
        terminal=bool(spec_process.get("terminal")),
        console_size=(size["height"], size["width"]) if size and size.get("height") else None,
        no_new_privileges=bool(spec_process.get("noNewPrivileges")),
        capabilities=_capability_sets(spec_process.get("capabilities") or {}, warnings, in_user_namespace),
        rlimits=[(entry["type"], entry["soft"], entry["hard"]) for entry in spec_process.get("rlimits") or ()],
        oom_score_adj=spec_process.get("oomScoreAdj"),
        seccomp=_compile(profile) if profile else None,
        labels=prepare_labels(spec_process),
        scheduling=prepare_scheduling(spec_process, spec),
        warnings=warnings,
    )


def _compile(profile: dict[str, Any]) -> CompiledFilter:
    from wherry.security.bpf import compile_profile  # start-up cost; this is the caller, on the host's side

    return compile_profile(profile)


def _environment(entries: list[str]) -> dict[bytes, bytes]:
    result = {}
    for entry in entries:
        name, equals, value = os.fsencode(entry).partition(b"=")
        if not name or not equals or b"\0" in entry.encode(errors="surrogateescape"):
            raise SpecInvalid(f"invalid environment variable: {entry!r}")
        result[name] = value
    return result


def _capability_sets(wanted: dict[str, list[str]], warnings: list[str], in_user_namespace: bool) -> CapabilitySets:
    held = _FULL_SET if in_user_namespace else capabilities.capget()[1] & capabilities.bounding()
    masks = {}
    missing: set[str] = set()
    for kind in ("bounding", "effective", "permitted", "inheritable", "ambient"):
        names = wanted.get(kind) or []
        known = [name for name in names if name in capabilities.NUMBERS]
        bits = capabilities.mask(known)
        missing.update(set(names) - set(known), capabilities.names(bits & ~held))
        masks[kind] = bits & held
    if missing:
        warnings.append(f"ignoring capabilities that are unknown or not held here: {', '.join(sorted(missing))}")
    return CapabilitySets(**masks)


def set_home(target: PreparedProcess, root_fd: int) -> None:
    """Give the process a HOME from the container's /etc/passwd when it has none, as runc does."""
    if target.env.get(b"HOME"):
        return
    target.env[b"HOME"] = b"/"
    try:
        fd = open_regular_in_root(root_fd, "/etc/passwd")
    except OSError:
        return  # no readable passwd: "/" it is
    try:
        content = os.read(fd, _PASSWD_LIMIT)
    finally:
        os.close(fd)
    wanted = b"%d" % target.uid
    for line in content.split(b"\n"):
        fields = line.split(b":")
        if len(fields) >= 6 and fields[2] == wanted:
            target.env[b"HOME"] = fields[5] or b"/"
            return


def confine(target: PreparedProcess, on_listener: ListenerSink) -> bytes:
    """Turn the calling process, which has entered the root, into ``target``; the path to execute.

    ``on_listener`` gets the seccomp listener's descriptor, if there is one.
    """
    apply_scheduling(target.scheduling)
    set_own(target.rlimits)
    if target.no_new_privileges:
        process.set_no_new_privileges()
    else:
        _install_filter(target, on_listener)
    target.labels.apply_on_exec()
    entered = _change_directory(target.cwd, first=True)
    sets = target.capabilities
    capabilities.drop_bounding(keep=sets.bounding)
    capabilities.set_keep_caps(on=True)
    _set_user(target)
    if not entered:
        _change_directory(target.cwd, first=False)
    _check_directory()
    capabilities.set_keep_caps(on=False)
    capabilities.clear_ambient()
    capabilities.capset(effective=sets.effective, permitted=sets.permitted, inheritable=sets.inheritable)
    _raise_ambient(sets.ambient & sets.permitted & sets.inheritable)
    path = find_executable(target.args[0], target.env.get(b"PATH", b""))
    if target.no_new_privileges and target.seccomp is not None and target.seccomp.needs_listener:
        _install_filter(target, on_listener)
    return path


def install_late_filter(target: PreparedProcess) -> None:
    """With no_new_privs the filter can come last: then it needs to allow nothing but execve.

    A filter with a listener is installed before, while somebody waits for its descriptor.
    """
    if target.no_new_privileges and target.seccomp is not None and not target.seccomp.needs_listener:
        try:
            seccomp.install(target.seccomp.program, target.seccomp.flags)
        except OSError as exc:
            raise RuntimeFailure(f"install seccomp filter: {exc.strerror}") from exc


class ListenerSink(Protocol):
    """Where a seccomp listener goes."""

    def send_listener(self, fd: int) -> None:
        """Hand the descriptor to the parent."""


def _install_filter(target: PreparedProcess, on_listener: ListenerSink) -> None:
    if target.seccomp is None:
        return
    try:
        fd = seccomp.install(target.seccomp.program, target.seccomp.flags, listener=target.seccomp.needs_listener)
    except OSError as exc:
        raise RuntimeFailure(f"install seccomp filter: {exc.strerror}") from exc
    if fd is not None:
        on_listener.send_listener(fd)
        os.close(fd)


def _change_directory(cwd: bytes, *, first: bool) -> bool:
    """The first try is as root; what only the user may enter (a FUSE or NFS mount) is tried again as the user."""
    try:
        os.chdir(cwd)
    except PermissionError as exc:
        if first:
            return False
        raise _cwd_failure(cwd, exc) from exc
    except OSError as exc:
        raise _cwd_failure(cwd, exc) from exc
    return True


def _cwd_failure(cwd: bytes, exc: OSError) -> RuntimeFailure:
    reason = os.strerror(exc.errno or 0).lower()
    code = 127 if exc.errno in (errno.ENOENT, errno.ENOTDIR) else 126
    return RuntimeFailure(f'chdir to cwd ("{os.fsdecode(cwd)}") set in config.json failed: {reason}', exit_code=code)


def _check_directory() -> None:
    """The kernel says "(unreachable)" for a directory outside the root: a leaked descriptor was entered (S35)."""
    try:
        reachable = os.getcwdb().startswith(b"/")
    except FileNotFoundError:
        reachable = False
    if not reachable:
        raise RuntimeFailure(
            "current working directory is outside of container mount namespace root -- possible container breakout"
            " detected"
        )


def _set_user(target: PreparedProcess) -> None:
    try:
        os.setgroups(target.groups)
    except PermissionError:
        if target.groups:  # without a request the kernel's refusal (setgroups "deny" of a user namespace) is no loss
            raise RuntimeFailure("set supplementary groups: not permitted in this user namespace") from None
    try:
        os.setresgid(target.gid, target.gid, target.gid)
        os.setresuid(target.uid, target.uid, target.uid)
    except OSError as exc:
        raise RuntimeFailure(f"setuid {target.uid}:{target.gid}: {exc.strerror}") from exc
    os.umask(target.umask)


def _raise_ambient(ambient: int) -> None:
    for number in range(ambient.bit_length()):
        if ambient >> number & 1:
            capabilities.raise_ambient(number)


def own_stdio(uid: int) -> None:
    """Give the pipes of the process to its user, so that it can open /dev/stdout; never a host file or device."""
    for fd in (0, 1, 2):
        status = os.fstat(fd)
        if status.st_uid != uid and (stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
            try:
                os.fchown(fd, uid, -1)
            except OSError as exc:
                if exc.errno not in (errno.EINVAL, errno.EPERM, errno.EROFS):  # a user namespace without that uid
                    raise

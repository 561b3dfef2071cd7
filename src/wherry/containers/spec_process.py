"""The OCI ``process``: arguments, environment, identity, capabilities, limits, seccomp. For run and for exec."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from wherry.containers.config import HostConfig
from wherry.containers.container import Record
from wherry.containers.security_options import SecurityOptions
from wherry.containers.user import User
from wherry.security import seccomp_profile as profiles
from wherry.settings import Settings

DEFAULT_PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build_process(
    record: Record,
    settings: Settings,
    user: User,
    bounding: Sequence[str],
    security: SecurityOptions,
    below: Sequence[str] = (),
) -> dict[str, Any]:
    """The container's own process. ``below``: variables under the container's own."""
    config, host = record.config, record.host_config
    process: dict[str, Any] = {
        "terminal": config.tty,
        "user": oci_user(user),
        "args": [record.path, *record.args],
        "env": build_environment(record, [*below, *(config.env or ())], tty=config.tty, home=user.home),
        "cwd": config.working_dir or "/",
        "capabilities": capability_sets(bounding, user),
        "noNewPrivileges": no_new_privileges(security, settings),
        "oomScoreAdj": host.oom_score_adj,
        "rlimits": rlimits(host, settings),
    }
    if config.tty and any(host.console_size):
        process["consoleSize"] = {"height": host.console_size[0], "width": host.console_size[1]}
    if security.apparmor and security.apparmor != "unconfined":
        process["apparmorProfile"] = security.apparmor
    return process


def oci_user(user: User) -> dict[str, Any]:
    """OCI ``process.user``; the primary group is among the additional ones (S59)."""
    return {"uid": user.uid, "gid": user.gid, "additionalGids": list(user.groups)}


def capability_sets(bounding: Sequence[str], user: User) -> dict[str, list[str]]:
    """Inheritable and ambient are empty; only root gets what it may have (S50)."""
    given = list(bounding) if user.uid == 0 else []
    return {"bounding": list(bounding), "effective": given, "permitted": given, "inheritable": [], "ambient": []}


def no_new_privileges(security: SecurityOptions, settings: Settings) -> bool:
    """The container's wish, else the engine's setting."""
    return settings.no_new_privileges if security.no_new_privileges is None else security.no_new_privileges


def build_environment(record: Record, entries: Sequence[str], *, tty: bool, home: str) -> list[str]:
    """PATH, HOSTNAME and TERM first, then ``entries`` over them (a name without ``=`` removes), HOME if missing."""
    merged: dict[str, str] = {}
    defaults = [DEFAULT_PATH, f"HOSTNAME={record.config.hostname}"] + (["TERM=xterm"] if tty else [])
    for entry in (*defaults, *entries):
        name, separator, _ = entry.partition("=")
        if separator:
            merged[name] = entry
        else:
            merged.pop(name, None)
    merged.setdefault("HOME", f"HOME={home}")
    return list(merged.values())


def rlimits(host: HostConfig, settings: Settings) -> list[dict[str, Any]]:
    """Default ulimits of the settings, the container's over them."""
    limits: dict[str, tuple[int, int]] = {**settings.default_ulimits}
    for ulimit in host.ulimits or ():
        limits[ulimit.name] = (ulimit.soft, ulimit.hard)
    unlimited = (1 << 64) - 1
    return [
        {
            "type": f"RLIMIT_{name.upper()}",
            "soft": unlimited if soft < 0 else soft,
            "hard": unlimited if hard < 0 else hard,
        }
        for name, (soft, hard) in limits.items()
    ]


def seccomp_profile(
    security: SecurityOptions, bounding: Sequence[str], settings: Settings, *, privileged: bool
) -> Mapping[str, Any] | None:
    """OCI ``linux.seccomp``; None when unconfined or privileged."""
    if privileged or security.seccomp == "unconfined":
        return None
    if security.seccomp:
        return profiles.load_profile(security.seccomp, bounding)
    if settings.seccomp_profile == "unconfined":
        return None
    if settings.seccomp_profile and settings.seccomp_profile != "builtin":
        return profiles.load_profile(profiles.read_profile(settings.seccomp_profile), bounding)
    return _default_profile(tuple(bounding))


@lru_cache(maxsize=64)
def _default_profile(bounding: tuple[str, ...]) -> Mapping[str, Any]:
    return profiles.default_profile(bounding)

"""Host devices shown in the container: OCI ``linux.devices`` and the device rules of the cgroup."""

import os
import stat
from collections.abc import Iterator
from typing import Any

from wherry.containers.config import HostConfig
from wherry.errors import System
from wherry.security.devices import parse_rule

_KINDS = {stat.S_IFCHR: "c", stat.S_IFBLK: "b"}
# Made by the runtime in every container, or belonging to a mount of its own.
_NOT_COPIED = ("/dev/pts", "/dev/shm", "/dev/fd", "/dev/mqueue", "/dev/.lxc", "/dev/.lxd-mounts", "/dev/.udev",
               "/dev/console", "/dev/ptmx")  # fmt: skip


def device_nodes(host: HostConfig) -> list[dict[str, Any]]:
    """``--device``, and for a privileged container every device of the host."""
    nodes = [_node(path, path) for path in _walk("/dev")] if host.privileged else []
    for device in host.devices or ():
        target = device.path_in_container or device.path_on_host
        source = os.path.realpath(device.path_on_host)
        if os.path.isdir(source):
            nodes += [_node(path, target + path[len(source) :]) for path in _walk(source)]
        else:
            nodes.append(_node(source, target))
    return list({node["path"]: node for node in nodes}.values())


def device_rules(host: HostConfig, nodes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """OCI ``linux.resources.devices``: deny all, then what was asked for (the defaults are the runtime's)."""
    if host.privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [{"allow": False, "access": "rwm"}]
    permissions = {
        device.path_in_container or device.path_on_host: device.cgroup_permissions or "rwm"
        for device in host.devices or ()
    }
    for node in nodes:
        access = next(
            (a for path, a in permissions.items() if node["path"] == path or node["path"].startswith(f"{path}/")),
            "rwm",
        )
        rules.append(
            {"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access}
        )
    for line in host.device_cgroup_rules or ():
        rule = parse_rule(line)
        entry: dict[str, Any] = {"allow": True, "type": rule.kind, "access": rule.access}
        entry.update({k: v for k, v in (("major", rule.major), ("minor", rule.minor)) if v is not None})
        rules.append(entry)
    return rules


def _node(path: str, target: str) -> dict[str, Any]:
    try:
        found = os.stat(path)
    except OSError as exc:
        raise System(
            f'error gathering device information while adding custom device "{path}": {(exc.strerror or "").lower()}'
        ) from exc
    kind = _KINDS.get(stat.S_IFMT(found.st_mode))
    if kind is None:
        raise System(f'error gathering device information while adding custom device "{path}": not a device node')
    return {
        "path": target,
        "type": kind,
        "major": os.major(found.st_rdev),
        "minor": os.minor(found.st_rdev),
        "fileMode": stat.S_IMODE(found.st_mode),
        "uid": found.st_uid,
        "gid": found.st_gid,
    }


def _walk(directory: str) -> Iterator[str]:
    with os.scandir(directory) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        if entry.path in _NOT_COPIED or entry.is_symlink():
            continue
        if entry.is_dir(follow_symlinks=False):
            if not os.path.ismount(entry.path):
                yield from _walk(entry.path)
        elif stat.S_IFMT(entry.stat(follow_symlinks=False).st_mode) in _KINDS:
            yield entry.path

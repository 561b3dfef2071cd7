"""Device requests (``--device vendor.com/class=name``, ``--gpus``) become parts of the OCI spec, by CDI.

moby serves ``--gpus`` through a driver of NVIDIA's runtime; here it means the devices of a GPU kind that has a CDI
file. Hooks are handed to the runtime as the spec says: they run as root, on the word of the administrator's file.
"""

import os
import stat
from collections.abc import Sequence
from typing import Any

from wherry.containers.cdi_spec import (
    CdiFailed,
    DeviceNode,
    Edits,
    Found,
    Mount,
    is_qualified,
    read_devices,
    unread_files,
)
from wherry.containers.config import DeviceRequest
from wherry.errors import InvalidParameter, System

_GPU_KINDS = ("nvidia.com/gpu", "amd.com/gpu")
_GPU_DRIVERS = {"": _GPU_KINDS, "nvidia": _GPU_KINDS[:1], "amd": _GPU_KINDS[1:]}
_KINDS = {stat.S_IFCHR: "c", stat.S_IFBLK: "b", stat.S_IFIFO: "p"}
_HOOKS = ("prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop")


def check_requests(requests: Sequence[DeviceRequest]) -> None:
    """At the creation: what could never be served. InvalidParameter in moby's words."""
    for request in requests:
        if request.driver == "cdi":
            for name in request.device_ids or ():
                if not is_qualified(name):
                    raise InvalidParameter(f"unresolvable CDI devices {name}: not vendor.com/class=name")
            continue
        wanted = {word for group in request.capabilities or () for word in group}
        if request.driver not in _GPU_DRIVERS or "gpu" not in wanted:
            raise InvalidParameter(_no_driver(request), hint="Devices come from CDI files, or with --device /dev/...")
        if request.count and request.device_ids:
            raise InvalidParameter("cannot set both Count and DeviceIDs on device request")


def apply(spec: dict[str, Any], requests: Sequence[DeviceRequest], directories: Sequence[str]) -> None:
    """Change the OCI ``spec``. Raises CdiFailed for a device that is not there or cannot be given."""
    if not requests:
        return
    devices = read_devices(directories)
    wanted = dict.fromkeys(name for request in requests for name in _names(request, devices, directories))
    missing = [name for name in wanted if name not in devices]
    if missing:
        raise _unresolvable(missing, directories)
    specs: dict[int, Edits] = {}
    for name in wanted:
        found = devices[name]
        specs.setdefault(id(found.spec), found.spec.container_edits)
        _edit(spec, found.device.container_edits, name)
    for edits in specs.values():
        _edit(spec, edits, ", ".join(wanted))


def _no_driver(request: DeviceRequest) -> str:
    shown = " ".join("[" + " ".join(group) + "]" for group in request.capabilities or ())
    return f'could not select device driver "{request.driver}" with capabilities: [{shown}]'


def _names(request: DeviceRequest, devices: dict[str, Found], directories: Sequence[str]) -> list[str]:
    if request.driver == "cdi":
        return list(request.device_ids or ())
    kinds = _GPU_DRIVERS[request.driver]
    kind = next((kind for kind in kinds if any(name.startswith(f"{kind}=") for name in devices)), None)
    if kind is None:
        raise System(_no_driver(request), hint=_hint(directories))
    if request.device_ids:
        return [f"{kind}={name}" for name in request.device_ids]
    if request.count < 0:
        return [f"{kind}=all"]
    return [f"{kind}={index}" for index in range(request.count or 1)]


def _unresolvable(missing: list[str], directories: Sequence[str]) -> CdiFailed:
    return CdiFailed(f"unresolvable CDI devices {', '.join(missing)}", hint=_hint(directories))


def _hint(directories: Sequence[str]) -> str:
    unread = unread_files(directories)
    if unread:
        return f"{unread[0]} is YAML, which is not read: write it as JSON (nvidia-ctk cdi generate --format=json)."
    return f"No CDI file in {', '.join(directories)} has it."


def _edit(spec: dict[str, Any], edits: Edits, name: str) -> None:
    if edits.net_devices or edits.intel_rdt:
        raise CdiFailed(f"{name}: network devices and resctrl are not supported")
    process, linux = spec["process"], spec["linux"]
    for entry in edits.env or ():
        key = entry.partition("=")[0]
        process["env"] = [known for known in process["env"] if known.partition("=")[0] != key] + [entry]
    for node in edits.device_nodes or ():
        made = _node(node, name)
        linux["devices"] = [known for known in linux["devices"] if known["path"] != made["path"]] + [made]
        if made["type"] != "p":
            rule = {key: made[key] for key in ("type", "major", "minor")}
            linux["resources"]["devices"].append({"allow": True, "access": node.permissions or "rwm", **rule})
    for mount in edits.mounts or ():
        made = _mount(mount)
        spec["mounts"] = [known for known in spec["mounts"] if known["destination"] != made["destination"]] + [made]
    for hook in edits.hooks or ():
        if hook.hook_name not in _HOOKS or not hook.path.startswith("/"):
            raise CdiFailed(f"{name}: invalid hook {hook.hook_name!r} at {hook.path!r}")
        made = {"path": hook.path, "args": hook.args or [hook.path], "env": hook.env or []}
        if hook.timeout:
            made["timeout"] = hook.timeout
        spec.setdefault("hooks", {}).setdefault(hook.hook_name, []).append(made)
    groups = process["user"]["additionalGids"]
    groups += [gid for gid in edits.additional_gids or () if gid not in groups]


def _node(node: DeviceNode, name: str) -> dict[str, Any]:
    source = node.host_path or node.path
    if not node.path.startswith("/") or not source.startswith("/"):
        raise CdiFailed(f"{name}: device path {node.path!r} is not absolute")
    try:
        found = os.stat(source)
    except OSError as exc:
        if not node.type or node.major is None or node.minor is None:
            raise CdiFailed(f"{name}: stat {source}: {(exc.strerror or '').lower()}") from exc
        found = None
    kind = node.type or (_KINDS.get(stat.S_IFMT(found.st_mode), "") if found else "")
    if kind == "u":
        kind = "c"
    if kind not in _KINDS.values():
        raise CdiFailed(f"{name}: {source} is not a device")
    made: dict[str, Any] = {"path": node.path, "type": kind}
    if found is not None:
        made |= {
            "major": os.major(found.st_rdev),
            "minor": os.minor(found.st_rdev),
            "fileMode": stat.S_IMODE(found.st_mode),
            "uid": found.st_uid,
            "gid": found.st_gid,
        }
    given = {"major": node.major, "minor": node.minor, "fileMode": node.file_mode, "uid": node.uid, "gid": node.gid}
    return made | {key: value for key, value in given.items() if value is not None}


def _mount(mount: Mount) -> dict[str, Any]:
    options = mount.options or []
    if not any(word in ("bind", "rbind") for word in options) and mount.type in ("", "bind"):
        options = ["rbind", *options]
    return {
        "type": mount.type or "bind",
        "source": mount.host_path,
        "destination": os.path.normpath(mount.container_path),
        "options": options,
    }

"""From a container's record to its OCI config.json (runtime-spec 1.2): the whole, and the namespaces.

The parts are ``spec_process``, ``spec_mounts``, ``spec_devices``, ``spec_resources``. A plain dict, because the
zygote reads it without msgspec.
"""

from dataclasses import dataclass, field
from typing import Any

from wherry.containers import cdi
from wherry.containers.config import argv
from wherry.containers.container import Record
from wherry.containers.security_options import parse as parse_security
from wherry.containers.spec_devices import device_nodes, device_rules
from wherry.containers.spec_mounts import build_mounts, root_propagation
from wherry.containers.spec_process import build_process, seccomp_profile
from wherry.containers.spec_resources import build_resources
from wherry.containers.user import User
from wherry.security import capabilities, sysctls
from wherry.settings import Settings

OCI_VERSION = "1.2.1"


@dataclass(frozen=True, slots=True)
class SpecInputs:
    """What the spec needs and the record does not hold. ``files``: container path → host path of the files that
    the engine writes. ``joined``: namespace type → pid of the container whose namespace is shared.
    ``image_mounts``: destination → layer directories, top first. ``environment``: what the container's own
    variables go over (links)."""

    settings: Settings
    user: User
    files: dict[str, str]
    joined: dict[str, int] = field(default_factory=dict)
    image_mounts: dict[str, list[str]] = field(default_factory=dict)
    environment: list[str] = field(default_factory=list)
    shm_source: str = ""


def build_spec(record: Record, inputs: SpecInputs) -> dict[str, Any]:
    """The complete config.json. Raises InvalidParameter for what only shows now (a device that is not there)."""
    host = record.host_config
    security = parse_security(host.security_opt)
    bounding = capabilities.resolve(argv(host.cap_add), argv(host.cap_drop), privileged=host.privileged)
    resources = build_resources(host, inputs.settings)
    nodes = device_nodes(host)
    resources["devices"] = device_rules(host, nodes)
    spaces = _namespaces(record, inputs.joined)
    linux: dict[str, Any] = {
        "cgroupsPath": cgroup_path(inputs.settings, record),
        "namespaces": spaces,
        "resources": resources,
        "devices": nodes,
        "maskedPaths": host.masked_paths or [],
        "readonlyPaths": host.readonly_paths or [],
        "sysctl": _sysctls(record, spaces),
    }
    seccomp = seccomp_profile(security, bounding, inputs.settings, privileged=host.privileged)
    if seccomp is not None:
        linux["seccomp"] = seccomp
    propagation = root_propagation(record)
    if propagation:
        linux["rootfsPropagation"] = propagation
    spec: dict[str, Any] = {
        "ociVersion": OCI_VERSION,
        "process": build_process(record, inputs.settings, inputs.user, bounding, security, inputs.environment),
        "root": {"path": "rootfs", "readonly": host.readonly_rootfs},
        "mounts": build_mounts(record, inputs.files, inputs.image_mounts, inputs.shm_source, security),
        "annotations": dict(host.annotations or {}),
        "linux": linux,
    }
    if host.uts_mode != "host" and not host.network_mode.startswith("container:") and record.config.hostname:
        spec["hostname"] = record.config.hostname
        if record.config.domainname:
            spec["domainname"] = record.config.domainname
    cdi.apply(spec, host.device_requests or (), inputs.settings.cdi_spec_dirs)
    return spec


def cgroup_path(settings: Settings, record: Record) -> str:
    """Always below the engine's own cgroup (S44; ``validate.check_cgroup_parent``)."""
    parent = record.host_config.cgroup_parent.strip("/")
    return "/".join(filter(None, (settings.cgroup_root, parent, record.id)))


def _namespaces(record: Record, joined: dict[str, int]) -> list[dict[str, str]]:
    host = record.host_config
    shared = {
        "pid": host.pid_mode == "host",
        "ipc": host.ipc_mode == "host",
        "uts": host.uts_mode == "host",
        "network": host.network_mode == "host",
        "cgroup": host.cgroupns_mode == "host",
    }
    proc_names = {"pid": "pid", "ipc": "ipc", "uts": "uts", "network": "net", "cgroup": "cgroup"}
    result = [{"type": "mount"}]
    for kind, is_host in shared.items():
        if is_host:
            continue
        if kind in joined:
            result.append({"type": kind, "path": f"/proc/{joined[kind]}/ns/{proc_names[kind]}"})
        else:
            result.append({"type": kind})
    return result


def _sysctls(record: Record, spaces: list[dict[str, str]]) -> dict[str, str]:
    own = {entry["type"] for entry in spaces if "path" not in entry}
    defaults = dict(sysctls.DEFAULTS) if "network" in own and not record.host_config.privileged else {}
    return {**defaults, **(record.host_config.sysctls or {})}

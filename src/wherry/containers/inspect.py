"""Everything that Docker tells of one container."""

import os
from typing import Any

import msgspec

from wherry.containers.config import ContainerConfig, EndpointSettings, HostConfig, Resources
from wherry.containers.container import Container, MountPoint, Record, Status
from wherry.containers.data_dir import data_dir, log_path
from wherry.containers.links import links_of
from wherry.containers.security_options import parse as parse_security
from wherry.containers.services import Services
from wherry.containers.sizes import sizes_of
from wherry.containers.wire import timestamp_ns

# Members that Docker leaves out when they are empty.
_CONFIG_OMIT = ("ExposedPorts", "Healthcheck", "ArgsEscaped", "NetworkDisabled", "MacAddress", "StopSignal",
                "StopTimeout", "Shell")  # fmt: skip
# Lists that docker's CLI sends even when they are empty, and that users therefore know as such.
_NEVER_NULL = ("BlkioWeightDevice", "BlkioDeviceReadBps", "BlkioDeviceWriteBps", "BlkioDeviceReadIOps",
               "BlkioDeviceWriteIOps", "Devices", "Dns", "DnsOptions", "DnsSearch")  # fmt: skip
_LIMITS = frozenset(Resources.__struct_encode_fields__)
_HOST_LAST = ("Mounts", "MaskedPaths", "ReadonlyPaths", "Init")
_HOST_OMIT = ("Annotations", "StorageOpt", "Tmpfs", "Sysctls", "Mounts", "Init", "KernelMemoryTCP")


def inspect(services: Services, reference: str, *, size: bool = False) -> dict[str, Any]:
    """Docker's ContainerInspectResponse."""
    container = services.containers.get(reference)
    with container.lock:
        result = _describe(services, container)
    if size:
        result["SizeRw"], result["SizeRootFs"] = sizes_of(services, container)
    return result


def _describe(services: Services, container: Container) -> dict[str, Any]:
    record, settings = container.record, services.settings
    directory = data_dir(settings, record.id)
    execs = [instance.id for instance in services.execs.of(container)]
    network = _network_settings(services, container)
    has_files = os.path.exists(f"{directory}/hostname")
    return {
        "Id": record.id,
        "Created": timestamp_ns(record.created_ns),
        "Path": record.path,
        "Args": record.args,
        "State": state(container),
        "Image": record.image_id,
        "ResolvConfPath": f"{directory}/resolv.conf" if has_files else "",
        "HostnamePath": f"{directory}/hostname" if has_files else "",
        "HostsPath": f"{directory}/hosts" if has_files else "",
        "LogPath": log_path(settings, record.id, record.host_config.log_config.type),
        "Name": f"/{record.name}",
        "RestartCount": record.state.restart_count,
        "Driver": services.snapshotter.name,
        "Platform": record.platform,
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": parse_security(record.host_config.security_opt).apparmor,
        "ExecIDs": execs or None,
        "HostConfig": host_config(record.host_config) | {"Links": _links(services, record)},
        "GraphDriver": _graph_driver(services, record),
        "Mounts": [mount_point(point) for point in record.mounts],
        "Config": config(record.config),
        "NetworkSettings": network,
    }


def state(container: Container) -> dict[str, Any]:
    """Docker's ContainerState."""
    now = container.state
    result: dict[str, Any] = {
        "Status": str(now.status),
        "Running": container.running,
        "Paused": now.status is Status.PAUSED,
        "Restarting": now.status is Status.RESTARTING,
        "OOMKilled": now.oom_killed,
        "Dead": now.status is Status.DEAD,
        "Pid": now.pid if container.running else 0,
        "ExitCode": now.exit_code,
        "Error": now.error,
        "StartedAt": timestamp_ns(now.started_at_ns),
        "FinishedAt": timestamp_ns(now.finished_at_ns),
    }
    if container.health is not None:
        result["Health"] = container.health
    return result


def config(value: ContainerConfig) -> dict[str, Any]:
    """Docker's ContainerConfig, empty optional members left out."""
    wire = _plain(value, ContainerConfig)
    for name in _CONFIG_OMIT:
        if wire[name] in (None, "", False, {}, []):
            del wire[name]
    if health := wire.get("Healthcheck"):
        wire["Healthcheck"] = {name: item for name, item in health.items() if item}
    return wire


def host_config(value: HostConfig) -> dict[str, Any]:
    """Docker's HostConfig, empty optional members left out."""
    plain = _plain(value, HostConfig)
    # Docker shows the limits after what is HostConfig's own, but for the last members.
    limits = {name: item for name, item in plain.items() if name in _LIMITS}
    last = {name: plain[name] for name in _HOST_LAST}
    wire = {name: item for name, item in plain.items() if name not in limits and name not in last} | limits | last
    for name in _HOST_OMIT:
        if wire[name] in (None, "", 0, {}, []) and wire[name] is not False:
            del wire[name]
    for name in _NEVER_NULL:
        wire[name] = wire[name] or []
    wire["ConsoleSize"] = list(value.console_size)
    wire["PortBindings"] = wire["PortBindings"] or {}
    for mount in wire.get("Mounts") or ():
        for name in [key for key, item in mount.items() if item in (None, "", False)]:
            del mount[name]
    return wire


def _plain(value: msgspec.Struct, kind: type[msgspec.Struct]) -> dict[str, Any]:
    # A CreateRequest is a ContainerConfig with more members: only those of ``kind`` are shown.
    names = set(kind.__struct_encode_fields__)
    return {key: item for key, item in msgspec.to_builtins(value).items() if key in names}


def mount_point(point: MountPoint) -> dict[str, Any]:
    """Docker's MountPoint."""
    result: dict[str, Any] = {"Type": point.type}
    if point.name:
        result["Name"] = point.name
    result |= {"Source": point.source, "Destination": point.destination}
    if point.driver:
        result["Driver"] = point.driver
    return result | {"Mode": point.mode, "RW": point.rw, "Propagation": point.propagation}


def endpoints(container: Container) -> dict[str, dict[str, Any]]:
    """Docker's NetworkSettings.Networks: what the running container got, else what it asked for."""
    record = container.record
    if container.running:
        live: dict[str, dict[str, Any]] = record.network_settings.get("Networks") or {}
        if live:
            return live
    return {name: _asked(value) for name, value in record.networks.items()}


def _asked(value: EndpointSettings) -> dict[str, Any]:
    wire: dict[str, Any] = msgspec.to_builtins(value)
    if wire["IPAMConfig"]:
        wire["IPAMConfig"] = {name: item for name, item in wire["IPAMConfig"].items() if item}
    return wire


def _network_settings(services: Services, container: Container) -> dict[str, Any]:
    record = container.record
    networks = endpoints(container)
    bridge = networks.get("bridge") or {}
    ports = record.network_settings.get("Ports") or {} if container.running else {}
    return {
        "Bridge": "",
        "SandboxID": record.id if container.running else "",
        "SandboxKey": f"/proc/{container.state.pid}/ns/net" if container.running and container.state.pid else "",
        "Ports": ports,
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": bridge.get("EndpointID", ""),
        "Gateway": bridge.get("Gateway", ""),
        "GlobalIPv6Address": bridge.get("GlobalIPv6Address", ""),
        "GlobalIPv6PrefixLen": bridge.get("GlobalIPv6PrefixLen", 0),
        "IPAddress": bridge.get("IPAddress", ""),
        "IPPrefixLen": bridge.get("IPPrefixLen", 0),
        "IPv6Gateway": bridge.get("IPv6Gateway", ""),
        "MacAddress": bridge.get("MacAddress", ""),
        "Networks": networks,
    }


def _links(services: Services, record: Record) -> list[str] | None:
    return [f"/{link.name}:{link.path}" for link in links_of(services.containers, record)] or None


def _graph_driver(services: Services, record: Record) -> dict[str, Any]:
    return {"Data": {"ID": record.id}, "Name": services.snapshotter.name}

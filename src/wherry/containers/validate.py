"""Requests that contradict themselves are refused before anything is made, in dockerd's words.

Sources: moby ``daemon/container.go`` (verifyContainerSettings), ``runconfig/hostconfig_unix.go``.
"""

import ipaddress
import re

from wherry.containers.config import ContainerConfig, HealthConfig, HostConfig, LogConfig, argv
from wherry.containers.ports import parse_port, parse_port_bindings
from wherry.containers.restart_policy import check_restart_policy
from wherry.containers.signals import parse_signal
from wherry.containers.validate_resources import check_host_limits, check_resources
from wherry.errors import InvalidParameter
from wherry.logs import options as log_options
from wherry.security import capabilities
from wherry.settings import Settings

_MINIMUM_DURATION_NS = 1_000_000
_CGROUP_PARENT = re.compile(r"/?[A-Za-z0-9_.@:-]+(/[A-Za-z0-9_.@:-]+)*/?\Z")
_HOSTNAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\Z")
_HOSTNAME_LIMIT = 64
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}\Z")


def check_config(config: ContainerConfig) -> None:
    """Raise InvalidParameter for the first fault of the portable part."""
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidParameter(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path"
        )
    for entry in config.env or ():
        if not entry or entry.startswith("="):
            raise InvalidParameter(f"invalid environment variable: {entry}")
    for text in (*argv(config.entrypoint), *argv(config.cmd), *(config.env or ()), config.working_dir, config.user):
        if "\0" in text:
            raise InvalidParameter("invalid configuration: NUL byte in a string of the process")
    if config.hostname and (not _HOSTNAME.match(config.hostname) or len(config.hostname) > _HOSTNAME_LIMIT):
        raise InvalidParameter(f"invalid hostname format: {config.hostname}")
    if config.domainname and (not _HOSTNAME.match(config.domainname) or len(config.domainname) > _HOSTNAME_LIMIT):
        raise InvalidParameter(f"invalid domainname format: {config.domainname}")
    if config.mac_address and not _MAC.match(config.mac_address.lower()):
        raise InvalidParameter(f"invalid MAC address: {config.mac_address}")
    if config.stop_signal:
        parse_signal(config.stop_signal)
    for port in config.exposed_ports or ():
        parse_port(port)
    if config.healthcheck is not None:
        _check_health(config.healthcheck)
    for label in config.labels or ():
        if not label:
            raise InvalidParameter("invalid label: empty key")


def check_host(host: HostConfig, config: ContainerConfig, settings: Settings) -> list[str]:
    """Raise InvalidParameter for the first fault of the host part; the warnings to give otherwise."""
    check_restart_policy(host.restart_policy)
    if host.auto_remove and host.restart_policy.name not in ("", "no"):
        raise InvalidParameter("can't create 'AutoRemove' container with restart policy")
    if host.isolation not in ("", "default"):
        raise InvalidParameter(f'invalid isolation "{host.isolation}" on linux')
    if host.runtime not in (settings.default_runtime, "wherry", *settings.runtimes):
        raise InvalidParameter(f"unknown or invalid runtime name: {host.runtime}")
    if host.storage_opt:
        raise InvalidParameter("--storage-opt is not supported by the storage driver")
    check_resources(host)
    check_host_limits(host)
    _check_log(host.log_config)
    check_cgroup_parent(host.cgroup_parent)
    capabilities.resolve(argv(host.cap_add), argv(host.cap_drop), privileged=host.privileged)
    _check_namespaces(host, config)
    _check_addresses(host)
    parse_port_bindings(host.port_bindings)
    return _warnings(host)


def _check_log(log: LogConfig) -> None:
    try:
        log_options.validate(log.type, log.config or {})
    except log_options.InvalidLogOption as exc:
        # Docker finds a bad value only when the container starts, and says so.
        raise InvalidParameter(f"failed to initialize logging driver: {exc.message}") from exc


def check_cgroup_parent(parent: str) -> None:
    """A parent stays below the engine's cgroup root (S44): no ``..``, no empty component."""
    if not parent:
        return
    if not _CGROUP_PARENT.match(parent) or any(part in (".", "..") for part in parent.split("/")):
        raise InvalidParameter(
            f"invalid cgroup parent: {parent}",
            hint="A relative path of plain names: it is made below the engine's own cgroup.",
        )


def _check_health(health: HealthConfig) -> None:
    for word, value in (
        ("Interval", health.interval), ("Timeout", health.timeout), ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ):  # fmt: skip
        if value != 0 and value < _MINIMUM_DURATION_NS:
            raise InvalidParameter(f"{word} in Healthcheck cannot be less than 1ms")
    if health.retries < 0:
        raise InvalidParameter("Retries in Healthcheck cannot be negative")
    if health.test and health.test[0] not in ("NONE", "CMD", "CMD-SHELL"):
        raise InvalidParameter(f"unknown type for health check: {health.test[0]}")


def _check_namespaces(host: HostConfig, config: ContainerConfig) -> None:
    mode = host.network_mode
    joins = mode.startswith("container:")
    if mode == "container" or mode == "container:":
        raise InvalidParameter("invalid container format container:<name|id>")
    if host.uts_mode not in ("", "host"):
        raise InvalidParameter(f"invalid UTS mode: {host.uts_mode}")
    if host.uts_mode == "host" and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the UTS mode")
    if joins and config.hostname:
        raise InvalidParameter("conflicting options: hostname and the network mode")
    if (joins or mode == "host") and host.links:
        raise InvalidParameter(
            f"conflicting options: {'container' if joins else 'host'} type {'network' if joins else 'networking'} "
            "can't be used with links. This would result in undefined behavior"
        )
    if joins and host.dns:
        raise InvalidParameter("conflicting options: dns and the network mode")
    if joins and host.extra_hosts:
        raise InvalidParameter("conflicting options: custom host-to-IP mapping and the network mode")
    if (joins or mode == "host") and config.mac_address:
        raise InvalidParameter("conflicting options: mac-address and the network mode")
    if joins and (host.port_bindings or host.publish_all_ports):
        raise InvalidParameter("conflicting options: port publishing and the container type network mode")
    if host.pid_mode not in ("", "host", "private") and not _is_container(host.pid_mode):
        raise InvalidParameter(f"invalid PID mode: {host.pid_mode}")
    if host.ipc_mode not in ("none", "private", "shareable", "host") and not _is_container(host.ipc_mode):
        raise InvalidParameter(f"invalid IPC mode: {host.ipc_mode}")
    if host.cgroupns_mode not in ("private", "host"):
        raise InvalidParameter(f"invalid CgroupNS mode: {host.cgroupns_mode}")
    if host.userns_mode not in ("", "host"):
        raise InvalidParameter(f"invalid user namespace mode: {host.userns_mode}")
    if mode == "host" and any(name.startswith("net.") for name in host.sysctls or ()):
        name = next(name for name in host.sysctls or () if name.startswith("net."))
        raise InvalidParameter(f'sysctl "{name}" not allowed in host network namespace')


def _is_container(mode: str) -> bool:
    return mode.startswith("container:") and len(mode) > len("container:")


def _check_addresses(host: HostConfig) -> None:
    for server in host.dns or ():
        try:
            ipaddress.ip_address(server.partition("%")[0])
        except ValueError as exc:
            raise InvalidParameter(f"bad nameserver address {server}") from exc
    for entry in host.extra_hosts or ():
        name, separator, address = entry.partition(":")
        address = address.removeprefix("[").removesuffix("]")
        if not separator or not name:
            raise InvalidParameter(f'bad format for add-host: "{entry}"')
        if address != "host-gateway":
            try:
                ipaddress.ip_address(address)
            except ValueError as exc:
                raise InvalidParameter(f'invalid IP address in add-host: "{address}"') from exc
        if not _HOSTNAME.match(name):
            raise InvalidParameter(f'bad format for add-host: "{entry}"')
    for text in (*(host.dns_search or ()), *(host.dns_options or ())):
        if any(character in text for character in " \t\n\r\0"):
            raise InvalidParameter(f"invalid DNS option: {text!r}")


def _warnings(host: HostConfig) -> list[str]:
    warnings = []
    if host.network_mode == "host" and host.port_bindings:
        warnings.append("Published ports are discarded when using host network mode")
    if host.oom_kill_disable and host.memory == 0:
        warnings.append(
            "OOM killer is disabled for the container, but no memory limit is set, this can result in the system "
            "running out of resources."
        )
    return warnings

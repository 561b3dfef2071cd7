"""``docker info`` and ``docker version``: the engine, the machine, what is supported."""

import hashlib
import os
import platform
import sys
import time
from functools import cache
from typing import Any

from wherry import __version__
from wherry.containers.container import Status
from wherry.containers.wire import timestamp_ns
from wherry.engine.engine import Engine
from wherry.engine.os_release import os_release
from wherry.logs.options import DRIVERS
from wherry.oci.platform import host_platform
from wherry.runtime import cgroups

API_VERSION = "1.51"
MIN_API_VERSION = "1.24"


def version(engine: Engine) -> dict[str, Any]:
    """Docker's SystemVersion."""
    machine = os.uname()
    host = host_platform()
    details = {
        "ApiVersion": API_VERSION,
        "Arch": host.architecture,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": f"python{platform.python_version()}",
        "KernelVersion": machine.release,
        "MinAPIVersion": MIN_API_VERSION,
        "Os": "linux",
    }
    return {
        "Platform": {"Name": "wherry"},
        "Components": [{"Name": "Engine", "Version": __version__, "Details": details}],
        "Version": __version__,
        "ApiVersion": API_VERSION,
        "MinAPIVersion": MIN_API_VERSION,
        "GitCommit": "",
        "GoVersion": details["GoVersion"],
        "Os": "linux",
        "Arch": host.architecture,
        "KernelVersion": machine.release,
        "BuildTime": "",
    }


def info(engine: Engine) -> dict[str, Any]:
    """Docker's SystemInfo."""
    settings = engine.settings
    machine = os.uname()
    release = os_release()
    statuses = [container.state.status for container in engine.containers.all()]
    running = sum(status in (Status.RUNNING, Status.RESTARTING) for status in statuses)
    paused = statuses.count(Status.PAUSED)
    layout = cgroups.system_layout()
    controllers = {name for hierarchy in layout.hierarchies for name in hierarchy.controllers}
    proxies = _proxies()
    return {
        "ID": _engine_id(settings.data_root),
        "Containers": len(statuses),
        "ContainersRunning": running,
        "ContainersPaused": paused,
        "ContainersStopped": len(statuses) - running - paused,
        "Images": len(engine.images.list_images()),
        "Driver": engine.snapshotter.name,
        "DriverStatus": [["Data Root", settings.data_root], ["Instance", settings.instance or "default"]],
        "Plugins": {
            "Volume": ["local"],
            "Network": ["bridge", "host", "null"],
            "Authorization": None,
            "Log": list(DRIVERS),
        },
        "MemoryLimit": "memory" in controllers,
        "SwapLimit": _has_swap_limit(layout.version),
        "KernelMemoryTCP": os.path.exists("/sys/fs/cgroup/memory/memory.kmem.tcp.limit_in_bytes"),
        "CpuCfsPeriod": "cpu" in controllers,
        "CpuCfsQuota": "cpu" in controllers,
        "CPUShares": "cpu" in controllers,
        "CPUSet": "cpuset" in controllers,
        "PidsLimit": "pids" in controllers,
        "IPv4Forwarding": _read("/proc/sys/net/ipv4/ip_forward") == "1",
        "Debug": settings.debug,
        "NFd": len(os.listdir("/proc/self/fd")),
        "OomKillDisable": layout.version == 1,
        "NGoroutines": len(sys._current_frames()),
        "SystemTime": timestamp_ns(time.time_ns()),
        "LoggingDriver": settings.log_driver,
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": str(layout.version),
        "NEventsListener": engine.events.subscriber_count,
        "KernelVersion": machine.release,
        "OperatingSystem": release.get("PRETTY_NAME", "Linux"),
        "OSVersion": release.get("VERSION_ID", ""),
        "OSType": "linux",
        "Architecture": machine.machine,
        "IndexServerAddress": "https://index.docker.io/v1/",
        "RegistryConfig": _registry_config(engine),
        "NCPU": os.cpu_count() or 1,
        "MemTotal": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "GenericResources": None,
        "DockerRootDir": settings.data_root,
        **proxies,
        "Name": machine.nodename,
        "Labels": list(settings.labels),
        "ExperimentalBuild": False,
        "ServerVersion": __version__,
        "Runtimes": {
            "wherry": {"path": "wherry-runtime"},
            **{name: {"path": path} for name, path in settings.runtimes.items()},
        },
        "DefaultRuntime": settings.default_runtime,
        "Swarm": {
            "NodeID": "",
            "NodeAddr": "",
            "LocalNodeState": "inactive",
            "ControlAvailable": False,
            "Error": "",
            "RemoteManagers": None,
        },
        "LiveRestoreEnabled": True,
        "Isolation": "",
        "InitBinary": "built in",
        "ContainerdCommit": {"ID": "N/A"},
        "RuncCommit": {"ID": __version__},
        "InitCommit": {"ID": __version__},
        "SecurityOptions": ["name=seccomp,profile=builtin", "name=cgroupns"],
        "CDISpecDirs": list(settings.cdi_spec_dirs),
        "FirewallBackend": {"Driver": "nftables"},
        "Warnings": None,
    }


@cache
def _engine_id(data_root: str) -> str:
    seed = _read("/etc/machine-id") + data_root
    digest = hashlib.sha256(seed.encode()).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:32]}"


def _registry_config(engine: Engine) -> dict[str, Any]:
    settings = engine.settings
    indexes: dict[str, Any] = {
        "docker.io": {
            "Name": "docker.io",
            "Mirrors": list(settings.registry_mirrors),
            "Secure": True,
            "Official": True,
        }
    }
    for name in settings.insecure_registries:
        if "/" not in name:
            indexes[name] = {"Name": name, "Mirrors": [], "Secure": False, "Official": False}
    return {
        "InsecureRegistryCIDRs": ["::1/128", "127.0.0.0/8"],
        "IndexConfigs": indexes,
        "Mirrors": list(settings.registry_mirrors),
    }


def _proxies() -> dict[str, str]:
    def value(name: str) -> str:
        text = os.environ.get(name.upper()) or os.environ.get(name.lower()) or ""
        head, at, tail = text.rpartition("@")
        # A proxy's password is nobody's business (moby masks it likewise).
        return f"{head.partition('//')[0]}//xxxxx:xxxxx@{tail}" if at else text

    return {
        "HttpProxy": value("http_proxy"),
        "HttpsProxy": value("https_proxy"),
        "NoProxy": os.environ.get("NO_PROXY") or os.environ.get("no_proxy") or "",
    }


def _has_swap_limit(cgroup_version: int) -> bool:
    if cgroup_version == 2:
        return True
    return os.path.exists("/sys/fs/cgroup/memory/memory.memsw.limit_in_bytes")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return ""  # not every machine has it

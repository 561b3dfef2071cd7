"""Where a container's files are.

<data_root>/containers/<id>/   container.log, exit.json, hosts, hostname, resolv.conf     (mode 0700)
<run_root>/containers/<id>/    monitor.sock, config.json, runtime state                    (mode 0700)
<data_root>/containers/.trash/ directories on their way out
"""

import os

from wherry.settings import Settings


def data_dir(settings: Settings, container_id: str) -> str:
    """The durable directory."""
    return f"{settings.data_root}/containers/{container_id}"


def run_dir(settings: Settings, container_id: str) -> str:
    """The directory that a reboot removes."""
    return f"{settings.run_root}/containers/{container_id}"


def log_path(settings: Settings, container_id: str, driver: str) -> str:
    """The log file of a driver that writes one, empty for the others."""
    return f"{data_dir(settings, container_id)}/container.log" if driver in ("json-file", "local") else ""


def make_data_dir(settings: Settings, container_id: str) -> str:
    """Create the durable directory (0700); its parent exists since the engine's start."""
    path = data_dir(settings, container_id)
    os.mkdir(path, 0o700)
    return path

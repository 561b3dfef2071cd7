"""What the next engine needs of a running container beyond its row: ``<run_root>/containers/<id>/network.json``.

Not durable and not in the database: it means nothing after a reboot, and the run path has no commit to spare.
The monitor removes it with the directory.
"""

import os
from typing import Any

import msgspec

_FILE = "network.json"


def write_adoption(run_directory: str, network_settings: dict[str, Any]) -> None:
    """Write it before the monitor starts."""
    fd = os.open(f"{run_directory}/{_FILE}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, msgspec.json.encode(network_settings))
    finally:
        os.close(fd)


def read_adoption(run_directory: str) -> dict[str, Any]:
    """What was written; empty when there is nothing whole."""
    try:
        with open(f"{run_directory}/{_FILE}", "rb") as file:
            settings: dict[str, Any] = msgspec.json.decode(file.read())
    except (FileNotFoundError, msgspec.DecodeError):
        return {}
    return settings

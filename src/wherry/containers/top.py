"""The processes of a container, seen from the host: ``ps`` of the host on the pids of the cgroup.

Nothing of the container is run (S62): the program is the host's by absolute path, its arguments are checked.
"""

import re
import subprocess
from typing import Any

from wherry.containers.container import Container, Status
from wherry.containers.services import Services
from wherry.errors import Conflict, InvalidParameter, System
from wherry.monitor.client import MonitorGone

_PS = ("/usr/bin/ps", "/bin/ps")
_PS_SECONDS = 10.0
# moby: an argument like this would rename the PID column, by which we find our lines.
_PID_COLUMN = re.compile(r"\s+([^\s]*)=\s*(PID[^\s]*)")


def top(services: Services, reference: str, ps_args: str = "") -> dict[str, Any]:
    """Docker's ContainerTopResponse; ``ps_args`` as typed, default ``-ef``."""
    container = services.containers.get(reference)
    if container.state.status is Status.RESTARTING:
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    connection = container.connection
    if connection is None or not container.running:
        raise Conflict(f"Container {container.id} is not running")
    arguments = (ps_args or "-ef").split()
    for match in _PID_COLUMN.finditer(ps_args):
        if match[1] != "PID":
            raise InvalidParameter(f'specifying "{match[1]}={match[2]}" is not allowed')
    try:
        pids = connection.processes()
    except MonitorGone as exc:
        raise Conflict(f"Container {container.id} is not running") from exc
    publishable = _run_ps(arguments, pids)
    from_ps = _parse(publishable, set(pids))
    _publish(services, container)
    return from_ps


def _publish(services: Services, container: Container) -> None:
    services.events.publish(
        "container", "top", container.id, {"image": container.record.config.image, "name": container.name}
    )


def _run_ps(arguments: list[str], pids: list[int]) -> str:
    for program in _PS:
        try:
            done = subprocess.run(
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_PS_SECONDS,
                check=False,
                env={"LC_ALL": "C", "PATH": "/usr/bin:/bin"},
            )
        except FileNotFoundError:
            continue
        if done.returncode:
            raise InvalidParameter(f"ps: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode(errors="replace")
    raise System("run ps: not found on the host", hint="Install the package procps.")


def _parse(output: str, pids: set[int]) -> dict[str, Any]:
    lines = output.splitlines()
    titles = lines[0].split() if lines else []
    if "PID" not in titles:
        raise InvalidParameter("Couldn't find PID field in ps output")
    index = titles.index("PID")
    processes = []
    for line in lines[1:]:
        fields = line.split()
        if len(fields) <= index or not fields[index].isdigit() or int(fields[index]) not in pids:
            continue
        # The last column may hold blanks.
        processes.append([*fields[: len(titles) - 1], " ".join(fields[len(titles) - 1 :])])
    return {"Titles": titles, "Processes": processes}

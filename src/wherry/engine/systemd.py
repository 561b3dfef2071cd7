"""Units for systemd: a socket that is there from boot on, and the service that it starts."""

import grp
import os
import shlex
import shutil
import subprocess
import sys

from wherry.errors import System
from wherry.roots import DEFAULT_DATA_ROOT, DEFAULT_RUN_ROOT
from wherry.settings import Settings

UNIT_DIRECTORY = "/etc/systemd/system"
SOCKET, SERVICE = "wherry.socket", "wherry.service"

_SOCKET = """\
[Unit]
Description=wherry: the socket of the Docker Engine API

[Socket]
ListenStream={socket}
{access}
[Install]
WantedBy=sockets.target
"""
# KillMode: the monitors and their containers outlive the engine. Delegate: the cgroups below are ours.
_SERVICE = """\
[Unit]
Description=wherry: a container engine
Requires={unit}
After=network-online.target {unit}
Wants=network-online.target

[Service]
Type=exec
ExecStart={command}
{environment}KillMode=process
Delegate=yes
Restart=on-failure
LimitNOFILE=1048576
LimitNPROC=infinity
LimitCORE=infinity
TasksMax=infinity
OOMScoreAdjust=-500

[Install]
WantedBy=multi-user.target
Also={unit}
"""


def units(settings: Settings) -> dict[str, str]:
    """The text of each unit, by file name."""
    try:
        grp.getgrnam(settings.group)
        access = f"SocketMode=0660\nSocketGroup={settings.group}\n"
    except KeyError:
        access = "SocketMode=0600\n"
    lines = []
    for name, value, default in (
        ("WHERRY_DATA_ROOT", settings.data_root, DEFAULT_DATA_ROOT),
        ("WHERRY_RUN_ROOT", settings.run_root, DEFAULT_RUN_ROOT),
        ("WHERRY_CONFIG", os.environ.get("WHERRY_CONFIG", ""), ""),
    ):
        if value != default:
            lines.append(f'Environment="{name}={_escape(value)}"\n')
    beside = f"{os.path.dirname(os.path.abspath(sys.executable))}/wherry"
    program = beside if os.path.isfile(beside) else shutil.which("wherry") or "wherry"
    command = f"{_escape(shlex.quote(program))} serve"
    return {
        SOCKET: _SOCKET.format(socket=_escape(settings.api_socket), access=access),
        SERVICE: _SERVICE.format(unit=SOCKET, command=command, environment="".join(lines)),
    }


def install(settings: Settings, directory: str) -> list[str]:
    """Write the units; their paths. Raises System."""
    written = []
    try:
        os.makedirs(directory, mode=0o755, exist_ok=True)
        for name, text in units(settings).items():
            path = f"{directory}/{name}"
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(text)
            os.chmod(f"{path}.new", 0o644)
            os.rename(f"{path}.new", path)
            written.append(path)
    except OSError as exc:
        raise System(f"write systemd units in {directory}: {exc.strerror}") from exc
    return written


def uninstall(directory: str) -> list[str]:
    """Remove the units that are there; their paths. Raises System."""
    removed = []
    for name in (SERVICE, SOCKET):
        try:
            os.unlink(f"{directory}/{name}")
        except FileNotFoundError:
            continue
        except OSError as exc:
            raise System(f"remove {directory}/{name}: {exc.strerror}") from exc
        removed.append(f"{directory}/{name}")
    return removed


def runs() -> bool:
    """Whether systemd is this machine's init (sd_booted(3))."""
    return os.path.isdir("/run/systemd/system")


def systemctl(*arguments: str) -> None:
    """Run systemctl. Raises System with what it said."""
    try:
        done = subprocess.run(["systemctl", *arguments], capture_output=True, text=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as exc:
        raise System(f"run systemctl {' '.join(arguments)}: {exc}") from exc
    if done.returncode:
        raise System(f"systemctl {' '.join(arguments)}: {done.stderr.strip()}")


def _escape(text: str) -> str:
    """For a value of a unit file: systemd.unit(5) specifiers."""
    return text.replace("%", "%%")

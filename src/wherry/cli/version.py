"""``version``."""

import os
import sys

from wherry import __version__
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.inspect import template_of
from wherry.cli.options import Option
from wherry.cli.output import INSPECT_FORMAT_HELP
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_API_VERSION = "1.51"


def _run(call: Invocation) -> int:
    template = template_of(call.flags.text("format"), "system.versionInfo")
    failure = ""
    server: dict[str, Any] | None = None
    try:
        server = call.app.system.version()
    except WherryError as exc:
        failure = describe(exc)
    client = {
        "Version": __version__,
        "ApiVersion": _API_VERSION,
        "DefaultAPIVersion": _API_VERSION,
        "PythonVersion": ".".join(map(str, sys.version_info[:3])),
        "Os": "linux",
        "Arch": _architecture(),
        "Context": "default",
    }
    if template is not None:
        call.app.out(template({"Client": client, "Server": server}))
    else:
        call.app.out(_text(client, server))
    if failure:
        raise CommandFailed(failure)
    return 0


def _architecture() -> str:
    machine = os.uname().machine
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def _text(client: "dict[str, Any]", server: "dict[str, Any] | None") -> str:
    lines = [
        "Client:",
        f" Version:           {client['Version']}",
        f" API version:       {client['ApiVersion']}",
        f" Python version:    {client['PythonVersion']}",
        f" OS/Arch:           {client['Os']}/{client['Arch']}",
        f" Context:           {client['Context']}",
    ]
    if server is None:
        return "\n".join(lines)
    platform = (server.get("Platform") or {}).get("Name", "")
    lines += ["", f"Server: {platform}".rstrip()]
    components = server.get("Components") or [{"Name": "Engine", "Version": server.get("Version"), "Details": server}]
    for component in components:
        details = component.get("Details") or {}
        lines += [f" {component['Name']}:", f"  Version:          {component['Version']}"]
        if component["Name"] == "Engine":
            minimum = details.get("MinAPIVersion")
            suffix = f" (minimum version {minimum})" if minimum else ""
            lines += [f"  API version:      {details.get('ApiVersion', server.get('ApiVersion'))}{suffix}"]
            for key, title in (("GoVersion", "Go version"), ("PythonVersion", "Python version")):
                if details.get(key):
                    lines.append(f"  {title + ':':<18}{details[key]}")
            if details.get("GitCommit"):
                lines.append(f"  Git commit:       {details['GitCommit']}")
            lines.append(f"  OS/Arch:          {details.get('Os', '')}/{details.get('Arch', '')}")
            if details.get("Experimental"):
                lines.append(f"  Experimental:     {details['Experimental']}")
        else:
            lines += [f"  {key + ':':<18}{value}" for key, value in details.items()]
    return "\n".join(lines)


VERSION = Command(
    "[OPTIONS]",
    "Show the wherry version information",
    _run,
    options=(Option("format", "f", "string", INSPECT_FORMAT_HELP),),
    most=0,
)

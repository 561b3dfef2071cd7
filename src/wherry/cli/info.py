"""``info``."""

from wherry import __version__
from wherry.cli.command import Command, Invocation
from wherry.cli.errors import CommandFailed, describe
from wherry.cli.inspect import template_of
from wherry.cli.options import Option
from wherry.cli.output import INSPECT_FORMAT_HELP
from wherry.cli.units import binary_size
from wherry.errors import WherryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _run(call: Invocation) -> int:
    template = template_of(call.flags.text("format"), "system.dockerInfo")
    client = {"Debug": call.app.debug, "Version": __version__, "Context": "default", "Plugins": [], "Warnings": None}
    info: dict[str, Any] = {}
    failure = ""
    try:
        info = call.app.system.info()
    except WherryError as exc:
        failure = describe(exc)
    if template is not None:
        call.app.out(template({**info, "ClientInfo": client}))
    else:
        lines = ["Client:", f" Version:    {__version__}", " Context:    default"]
        lines += [f" Debug Mode: {_truth(call.app.debug)}", "", "Server:"]
        if info:
            lines += _server(info)
        call.app.out("\n".join(lines))
        for warning in info.get("Warnings") or []:
            call.app.err(warning)
    if failure:
        raise CommandFailed(failure)
    return 0


def _truth(value: object) -> str:
    return "true" if value else "false"


def _server(info: "dict[str, Any]") -> list[str]:
    lines = [
        f" Containers: {info['Containers']}",
        f"  Running: {info['ContainersRunning']}",
        f"  Paused: {info['ContainersPaused']}",
        f"  Stopped: {info['ContainersStopped']}",
        f" Images: {info['Images']}",
        f" Server Version: {info['ServerVersion']}",
        f" Storage Driver: {info['Driver']}",
    ]
    lines += [f"  {name}: {value}" for name, value in info.get("DriverStatus") or []]
    for title, key in (("Logging Driver", "LoggingDriver"), ("Cgroup Driver", "CgroupDriver"),
                       ("Cgroup Version", "CgroupVersion")):  # fmt: skip
        if info.get(key):
            lines.append(f" {title}: {info[key]}")
    plugins = info.get("Plugins") or {}
    lines.append(" Plugins:")
    for kind in ("Volume", "Network", "Authorization", "Log"):
        if plugins.get(kind):
            lines.append(f"  {kind}: {' '.join(plugins[kind])}")
    if info.get("CDISpecDirs"):
        lines.append(" CDI spec directories:")
        lines += [f"  {folder}" for folder in info["CDISpecDirs"]]
    lines.append(f" Swarm: {(info.get('Swarm') or {}).get('LocalNodeState') or 'inactive'}")
    if info.get("Runtimes"):
        lines.append(f" Runtimes: {' '.join(sorted(info['Runtimes']))}")
        lines.append(f" Default Runtime: {info.get('DefaultRuntime', '')}")
    if info.get("InitBinary"):
        lines.append(f" Init Binary: {info['InitBinary']}")
    for title, key in (("containerd", "ContainerdCommit"), ("runc", "RuncCommit"), ("init", "InitCommit")):
        if (info.get(key) or {}).get("ID"):
            lines.append(f" {title} version: {info[key]['ID']}")
    lines += _security(info.get("SecurityOptions") or [])
    lines += [
        f" Kernel Version: {info['KernelVersion']}",
        f" Operating System: {info['OperatingSystem']}",
        f" OSType: {info['OSType']}",
        f" Architecture: {info['Architecture']}",
        f" CPUs: {info['NCPU']}",
        f" Total Memory: {binary_size(info['MemTotal'])}",
        f" Name: {info['Name']}",
        f" ID: {info['ID']}",
        f" Docker Root Dir: {info['DockerRootDir']}",
        f" Debug Mode: {_truth(info.get('Debug'))}",
    ]
    for title, key in (("HTTP Proxy", "HttpProxy"), ("HTTPS Proxy", "HttpsProxy"), ("No Proxy", "NoProxy")):
        if info.get(key):
            lines.append(f" {title}: {info[key]}")
    if info.get("Labels"):
        lines += [" Labels:", *(f"  {label}" for label in info["Labels"])]
    lines.append(f" Experimental: {_truth(info.get('ExperimentalBuild'))}")
    registry = info.get("RegistryConfig") or {}
    insecure = [
        name for name, index in sorted((registry.get("IndexConfigs") or {}).items()) if not index.get("Secure", True)
    ] + list(registry.get("InsecureRegistryCIDRs") or [])
    if insecure:
        lines += [" Insecure Registries:", *(f"  {entry}" for entry in insecure)]
    if registry.get("Mirrors"):
        lines += [" Registry Mirrors:", *(f"  {mirror}" for mirror in registry["Mirrors"])]
    lines += [f" Live Restore Enabled: {_truth(info.get('LiveRestoreEnabled'))}", ""]
    return lines


def _security(options: list[str]) -> list[str]:
    lines = [" Security Options:"] if options else []
    for option in options:
        fields = [field.partition("=") for field in option.split(",")]
        lines += [f"  {value}" for key, _, value in fields if key == "name"]
        lines += [f"   {key[:1].upper()}{key[1:]}: {value}" for key, _, value in fields if key != "name"]
    return lines


INFO = Command(
    "[OPTIONS]",
    "Display system-wide information",
    _run,
    options=(Option("format", "f", "string", INSPECT_FORMAT_HELP),),
    most=0,
    aliases=("system info", "info"),
)

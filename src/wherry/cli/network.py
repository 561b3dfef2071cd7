"""``network create``, ``rm``, ``connect`` and ``disconnect``."""

from wherry.cli.command import Command, Invocation
from wherry.cli.container_config import pairs
from wherry.cli.errors import CommandFailed
from wherry.cli.many import for_each
from wherry.cli.options import Flags, Option
from wherry.errors import NotFound

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _create(call: Invocation) -> int:
    flags = call.flags
    config: dict[str, Any] = {
        "Name": call.args[0],
        "Driver": flags.text("driver"),
        "Options": pairs(flags.many("opt")),
        "Labels": pairs(flags.many("label")),
        "Internal": flags.flag("internal"),
        "Attachable": flags.flag("attachable"),
        "Scope": flags.text("scope"),
        "IPAM": {
            "Driver": flags.text("ipam-driver"),
            "Options": pairs(flags.many("ipam-opt")),
            "Config": _pools(flags),
        },
    }
    if flags.changed("ipv4"):
        config["EnableIPv4"] = flags.flag("ipv4")
    if flags.changed("ipv6"):
        config["EnableIPv6"] = flags.flag("ipv6")
    created = call.app.networks.create(config)
    if created.get("Warning"):
        call.app.err(f"WARNING: {created['Warning']}")
    call.app.out(created["Id"])
    return 0


def _pools(flags: Flags) -> "list[dict[str, Any]]":
    """Subnets with the ranges, gateways and reserved addresses that lie in them."""
    import ipaddress

    pools: dict[str, dict[str, Any]] = {text: {"Subnet": text} for text in flags.many("subnet")}

    def matching(text: str) -> "dict[str, Any]":
        for subnet, pool in pools.items():
            try:
                network = ipaddress.ip_network(subnet, strict=False)
                inner = ipaddress.ip_network(text, strict=False)
            except ValueError:
                continue  # the engine refuses it in its own words
            if inner.version == network.version and inner[0] in network:
                return pool
        raise CommandFailed("every ip-range or gateway must have a corresponding subnet")

    for text in flags.many("ip-range"):
        matching(text)["IPRange"] = text
    for text in flags.many("gateway"):
        matching(text)["Gateway"] = text
    for name, text in pairs(flags.many("aux-address")).items():
        matching(text).setdefault("AuxiliaryAddresses", {})[name] = text
    return list(pools.values())


def _remove(call: Invocation) -> int:
    force, app = call.flags.flag("force"), call.app

    def remove(name: str) -> None:
        try:
            app.networks.remove(name)
        except NotFound:
            if not force:
                raise
        else:
            app.out(name)

    try:
        return for_each(app, call.args, remove, echo=False)
    except CommandFailed as exc:
        raise CommandFailed(f"{exc.message}\nexit status 1") from exc


def _connect(call: Invocation) -> int:
    flags = call.flags
    endpoint: dict[str, Any] = {}
    addresses: dict[str, Any] = {}
    if flags.text("ip"):
        addresses["IPv4Address"] = flags.text("ip")
    if flags.text("ip6"):
        addresses["IPv6Address"] = flags.text("ip6")
    if flags.many("link-local-ip"):
        addresses["LinkLocalIPs"] = flags.many("link-local-ip")
    if addresses:
        endpoint["IPAMConfig"] = addresses
    if flags.many("alias"):
        endpoint["Aliases"] = flags.many("alias")
    if flags.many("link"):
        endpoint["Links"] = flags.many("link")
    if flags.many("driver-opt"):
        endpoint["DriverOpts"] = pairs(flags.many("driver-opt"))
    if flags.changed("gw-priority"):
        endpoint["GwPriority"] = flags.number("gw-priority")
    call.app.networks.connect(call.args[0], call.args[1], endpoint)
    return 0


def _disconnect(call: Invocation) -> int:
    call.app.networks.disconnect(call.args[0], call.args[1], force=call.flags.flag("force"))
    return 0


CREATE = Command(
    "[OPTIONS] NETWORK",
    "Create a network",
    _create,
    options=(
        Option("attachable", "", "bool", "Enable manual container attachment"),
        Option("aux-address", "", "map",
               "Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])"),
        Option("driver", "d", "string", 'Driver to manage the Network (default "bridge")', default="bridge"),
        Option("gateway", "", "strings", "IPv4 or IPv6 Gateway for the master subnet"),
        Option("internal", "", "bool", "Restrict external access to the network"),
        Option("ip-range", "", "strings", "Allocate container ip from a sub-range"),
        Option("ipam-driver", "", "string", 'IP Address Management Driver (default "default")', default="default"),
        Option("ipam-opt", "", "map", "Set IPAM driver specific options (default map[])"),
        Option("ipv4", "", "bool", "Enable or disable IPv4 address assignment (default true)", default=True),
        Option("ipv6", "", "bool", "Enable or disable IPv6 address assignment"),
        Option("label", "", "list", "Set metadata on a network"),
        Option("opt", "o", "map", "Set driver specific options (default map[])"),
        Option("scope", "", "string", "Control the network's scope"),
        Option("subnet", "", "strings", "Subnet in CIDR format that represents a network segment"),
    ),
    least=1,
    most=1,
)  # fmt: skip
REMOVE = Command(
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    _remove,
    options=(Option("force", "f", "bool", "Do not error if the network does not exist"),),
    least=1,
    aliases=("network rm", "network remove"),
)
CONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER",
    "Connect a container to a network",
    _connect,
    options=(
        Option("alias", "", "strings", "Add network-scoped alias for the container"),
        Option("driver-opt", "", "strings", "driver options for the network"),
        Option("gw-priority", "", "int",
               "Highest gw-priority provides the default gateway. Accepts positive and negative values."),
        Option("ip", "", "string", 'IPv4 address (e.g., "172.30.100.104")'),
        Option("ip6", "", "string", 'IPv6 address (e.g., "2001:db8::33")'),
        Option("link", "", "list", "Add link to another container"),
        Option("link-local-ip", "", "strings", "Add a link-local address for the container"),
    ),
    least=2,
    most=2,
)  # fmt: skip
DISCONNECT = Command(
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    _disconnect,
    options=(Option("force", "f", "bool", "Force the container to disconnect from a network"),),
    least=2,
    most=2,
)

"""``--network`` in both forms, and the options that belong to the first network (docker/cli ``parseNetworkOpts``)."""

from wherry.cli.csv_fields import split_fields
from wherry.cli.options import Flags

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEX = frozenset("0123456789abcdefABCDEF")


def set_networks(config: "dict[str, Any]", host: "dict[str, Any]", flags: Flags) -> None:
    """Fill NetworkMode and NetworkingConfig. Raises ValueError for a contradiction."""
    mac = flags.text("mac-address")
    if mac and not _is_mac(mac):
        raise ValueError(f"{mac} is not a valid mac address")
    attachments = [_parse(text) for text in flags.many("network")] or [("default", {})]
    _apply_container_options(attachments[0][1], flags)
    endpoints: dict[str, dict[str, Any]] = {}
    user_defined = {_is_user_defined(name) for name, _ in attachments}
    if len(user_defined) > 1:
        raise ValueError("conflicting options: cannot attach both user-defined and non-user-defined network-modes")
    for name, endpoint in attachments:
        if name in endpoints:
            raise ValueError(f'network "{name}" is specified multiple times')
        if endpoint.get("Aliases") and not _is_user_defined(name):
            raise ValueError("network-scoped aliases are only supported for user-defined networks")
        if endpoint or len(attachments) > 1:
            endpoints[name] = endpoint
    host["NetworkMode"] = attachments[0][0]
    if mac:
        config["MacAddress"] = mac
    if endpoints:
        config["NetworkingConfig"] = {"EndpointsConfig": endpoints}


def check_network(text: str) -> str:
    _parse(text)
    return text


def _parse(text: str) -> "tuple[str, dict[str, Any]]":
    if "=" not in text:
        return text, {}
    name = ""
    endpoint: dict[str, Any] = {}
    addresses: dict[str, Any] = {}
    for field in split_fields(text):
        key, equals, value = field.partition("=")
        key = key.strip().lower()
        value = value.strip()
        if not equals or not key:
            raise ValueError(f"invalid field {field}")
        if key == "name":
            name = value
        elif key == "alias":
            endpoint.setdefault("Aliases", []).append(value)
        elif key == "driver-opt":
            option, _, setting = value.partition("=")
            endpoint.setdefault("DriverOpts", {})[option.lower()] = setting
        elif key == "ip":
            addresses["IPv4Address"] = value
        elif key == "ip6":
            addresses["IPv6Address"] = value
        elif key == "mac-address":
            endpoint["MacAddress"] = value
        elif key == "link-local-ip":
            addresses.setdefault("LinkLocalIPs", []).append(value)
        elif key == "gw-priority":
            endpoint["GwPriority"] = int(value)
        else:
            raise ValueError(f"invalid field key {key}")
    if not name:
        raise ValueError("network name/id is not specified")
    if addresses:
        endpoint["IPAMConfig"] = addresses
    return name, endpoint


def _apply_container_options(endpoint: "dict[str, Any]", flags: Flags) -> None:
    addresses = endpoint.get("IPAMConfig", {})
    for option, field in (("ip", "IPv4Address"), ("ip6", "IPv6Address")):
        if flags.text(option):
            if field in addresses:
                raise ValueError(f"conflicting options: cannot specify both --{option} and per-network IP{_v(field)}")
            addresses[field] = flags.text(option)
    if flags.many("link-local-ip"):
        if "LinkLocalIPs" in addresses:
            raise ValueError(
                "conflicting options: cannot specify both --link-local-ip and per-network link-local IP addresses"
            )
        addresses["LinkLocalIPs"] = flags.many("link-local-ip")
    if flags.many("network-alias"):
        if "Aliases" in endpoint:
            raise ValueError("conflicting options: cannot specify both --network-alias and per-network alias")
        endpoint["Aliases"] = flags.many("network-alias")
    if flags.text("mac-address"):
        if "MacAddress" in endpoint:
            raise ValueError("conflicting options: cannot specify both --mac-address and per-network MAC address")
        endpoint["MacAddress"] = flags.text("mac-address")
    if addresses:
        endpoint["IPAMConfig"] = addresses


def _v(field: str) -> str:
    return "v6 address" if field == "IPv6Address" else "v4 address"


def _is_user_defined(name: str) -> bool:
    return name not in ("default", "bridge", "host", "none", "") and not name.startswith("container:")


def _is_mac(text: str) -> bool:
    parts = text.replace("-", ":").split(":")
    return len(parts) in (6, 8, 20) and all(len(part) == 2 and set(part) <= _HEX for part in parts)

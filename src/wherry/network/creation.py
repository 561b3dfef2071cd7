"""POST /networks/create: the request, and the record that it becomes. Out of scope: whether the subnet is free.

Texts are moby's (``daemon/network.go``, ``api/types/network/ipam.go``, libnetwork).
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from wherry.errors import Forbidden, InvalidParameter, NotFound, Unimplemented
from wherry.network.store import PREDEFINED, NetworkConfig

BRIDGE_NAME = "com.docker.network.bridge.name"
INTER_CONTAINER = "com.docker.network.bridge.enable_icc"
MASQUERADE = "com.docker.network.bridge.enable_ip_masquerade"
HOST_BINDING = "com.docker.network.bridge.host_binding_ipv4"
MTU = "com.docker.network.driver.mtu"
_BOOLEANS = (INTER_CONTAINER, MASQUERADE)
_TRUE, _FALSE = ("1", "t", "T", "TRUE", "true", "True"), ("0", "f", "F", "FALSE", "false", "False")
_NAME_LIMIT = 15  # IFNAMSIZ without its NUL
_MTU_RANGE = range(68, 65536)
_KNOWN_DRIVERS = ("macvlan", "ipvlan", "overlay")


@dataclass(frozen=True, slots=True)
class Pool:
    """One entry of IPAM.Config, as the client wrote it."""

    subnet: str
    ip_range: str
    gateway: str
    auxiliary: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class CreateNetwork:
    """A request for a network."""

    name: str
    driver: str = "bridge"
    ipv4: bool = True
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    ipam_driver: str = "default"
    pools: tuple[Pool, ...] = ()
    options: Mapping[str, str] | None = None
    labels: Mapping[str, str] | None = None
    ipam_options: Mapping[str, str] | None = None


def truth(options: Mapping[str, str], name: str, *, default: bool) -> bool:
    """An option that ``checked_config`` has accepted."""
    return options[name] in _TRUE if name in options else default


def checked_config(request: CreateNetwork) -> NetworkConfig:
    """The configuration to store; its ``subnet`` is empty when one is still to be chosen."""
    if not request.name.strip():
        raise InvalidParameter("invalid name: name is empty")
    if request.name in PREDEFINED or request.name == "default":
        raise Forbidden(f"operation is not permitted on predefined {request.name} network ")
    _check_driver(request)
    options = dict(request.options or {})
    _check_options(options)
    if len(request.pools) > 1:
        raise Unimplemented("create network: more than one IPv4 subnet is not supported by the bridge driver")
    pool = request.pools[0] if request.pools else Pool("", "", "", {})
    subnet, gateway, ip_range, auxiliary = _checked_pool(pool)
    return NetworkConfig(
        subnet=subnet,
        gateway=gateway,
        ip_range=ip_range,
        auxiliary=auxiliary,
        chosen_subnet=bool(subnet),
        internal=request.internal,
        attachable=request.attachable,
        options=options,
        labels=dict(request.labels or {}),
        ipam_options=dict(request.ipam_options) if request.ipam_options is not None else None,
    )


def _check_driver(request: CreateNetwork) -> None:
    if request.driver in ("host", "null"):
        raise Forbidden(f'only one instance of "{request.driver}" network is allowed')
    if request.driver in _KNOWN_DRIVERS:
        raise Unimplemented(f"network driver {request.driver} is not supported by this engine", hint="Use bridge.")
    if request.driver != "bridge":
        raise NotFound(f'plugin "{request.driver}" not found')
    if request.ipam_driver not in ("", "default"):
        raise NotFound(f'plugin "{request.ipam_driver}" not found')
    if request.ipv6:
        raise Unimplemented("create network: IPv6 is not supported by this engine yet")
    if not request.ipv4:
        raise InvalidParameter("IPv4 or IPv6 must be enabled")


def _check_options(options: Mapping[str, str]) -> None:
    for name in _BOOLEANS:
        if name in options and options[name] not in _TRUE + _FALSE:
            raise InvalidParameter(
                f'strconv.ParseBool: parsing "{options[name]}": invalid syntax', hint=f"{name} is true or false."
            )
    bridge = options.get(BRIDGE_NAME, "")
    if bridge and (len(bridge) > _NAME_LIMIT or bridge in (".", "..") or any(c in "/: \t\n\0" for c in bridge)):
        raise InvalidParameter(f"invalid bridge name {bridge!r}", hint="At most 15 bytes, no slash, colon or space.")
    if options.get(HOST_BINDING):
        try:
            ipaddress.IPv4Address(options[HOST_BINDING])
        except ValueError as exc:
            raise InvalidParameter(f"invalid {HOST_BINDING}: {options[HOST_BINDING]}") from exc
    mtu = options.get(MTU, "")
    if mtu and not (mtu.isascii() and mtu.isdigit() and int(mtu) in _MTU_RANGE):
        raise InvalidParameter(f"invalid value for {MTU!r}: {mtu!r}")


def _checked_pool(pool: Pool) -> tuple[str, str, str, dict[str, str]]:
    if not pool.subnet:
        if pool.gateway or pool.ip_range or pool.auxiliary:
            raise InvalidParameter("invalid network config:\ninvalid subnet : invalid CIDR block notation")
        return "", "", "", {}
    try:
        subnet = ipaddress.ip_network(pool.subnet, strict=False)
    except ValueError as exc:
        raise InvalidParameter(
            f"invalid network config:\ninvalid subnet {pool.subnet}: invalid CIDR block notation"
        ) from exc
    if not isinstance(subnet, ipaddress.IPv4Network):
        raise Unimplemented("create network: IPv6 is not supported by this engine yet")
    if ipaddress.IPv4Interface(pool.subnet).ip != subnet.network_address:
        raise InvalidParameter(f"invalid network config:\ninvalid subnet {pool.subnet}: it should be {subnet}")
    if subnet.prefixlen > 30:
        raise InvalidParameter(f"invalid subnet {subnet}: no room for a gateway and a container")
    if pool.ip_range:
        _check_range(pool.ip_range, subnet)
    if pool.gateway:
        _check_inside("gateway", pool.gateway, subnet)
    for address in pool.auxiliary.values():
        _check_inside("auxiliary address", address, subnet)
    return str(subnet), pool.gateway, pool.ip_range, dict(pool.auxiliary)


def _check_range(text: str, subnet: ipaddress.IPv4Network) -> None:
    try:
        inner = ipaddress.IPv4Network(text, strict=False)
    except ValueError as exc:
        raise InvalidParameter(
            f"invalid network config:\ninvalid ip-range {text}: invalid CIDR block notation"
        ) from exc
    if not inner.subnet_of(subnet):
        raise InvalidParameter(
            f"invalid network config:\ninvalid ip-range {text}: parent subnet {subnet} doesn't contain ip-range"
        )


def _check_inside(word: str, text: str, subnet: ipaddress.IPv4Network) -> None:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError as exc:
        raise InvalidParameter(f"invalid network config:\ninvalid {word} {text}: invalid address") from exc
    if address not in subnet:
        raise InvalidParameter(
            f"invalid network config:\ninvalid {word} {text}: parent subnet {subnet} doesn't contain this address"
        )

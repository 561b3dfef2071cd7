"""One network of the bridge driver in memory: its record, its bridge, its addresses, its rules.

The default bridge takes its properties from the settings and chooses its subnet when its bridge is made; a
user-defined network has them in its record. Serialised by the controller's lock.
"""

import ipaddress
from collections.abc import Callable

from wherry.errors import InvalidParameter
from wherry.network import creation
from wherry.network.bridge import Bridge
from wherry.network.firewall import BridgeRules
from wherry.network.ipam import AddressPool
from wherry.network.store import NetworkRecord
from wherry.settings import Settings


class BridgeNetwork:
    """``pool`` is None while the default bridge has no subnet."""

    def __init__(
        self, record: NetworkRecord, settings: Settings, choose_subnet: Callable[[], ipaddress.IPv4Network]
    ) -> None:
        self.record = record
        self._settings = settings
        self._choose_subnet = choose_subnet
        config, options = record.config, record.config.options
        self.default = record.predefined
        self.internal = config.internal
        self.inter_container = creation.truth(options, creation.INTER_CONTAINER, default=settings.icc)
        self.masquerade = creation.truth(options, creation.MASQUERADE, default=settings.ip_masq)
        self.host_binding = options.get(creation.HOST_BINDING) or settings.ip
        name = settings.bridge_name if self.default else bridge_name(record)
        alias = "wherry default bridge" if self.default else f"wherry network {record.id[:12]}"
        mtu = int(options.get(creation.MTU) or settings.mtu)
        self.bridge = Bridge(name, mtu=mtu, alias=alias, choose=self._gateway_interface)
        self.pool: AddressPool | None = None if self.default else self._configured_pool()

    def ready(self) -> AddressPool:
        """The addresses; the bridge exists on return."""
        interface = self.bridge.ensure()
        if self.pool is None:
            self.pool = AddressPool(interface.network, interface.ip)
        return self.pool

    def adopt(self) -> bool:
        """Take over a bridge that is there; False when there is none."""
        if not self.bridge.adopt():
            return False
        self.ready()
        return True

    def remove_bridge(self) -> None:
        """Delete the bridge; the subnet of a user-defined network stays its own."""
        self.bridge.remove()
        if self.default:
            self.pool = None

    @property
    def up(self) -> bool:
        """Whether its bridge exists."""
        return self.bridge.index != 0

    def rules(self) -> BridgeRules:
        """What the firewall has to know of it; only while it is up."""
        assert self.pool is not None
        return BridgeRules(
            self.bridge.name,
            self.pool.subnet,
            masquerade=self.masquerade and not self.internal,
            inter_container=self.inter_container,
            internal=self.internal,
        )

    def _gateway_interface(self) -> ipaddress.IPv4Interface:
        if self.pool is not None:
            return ipaddress.IPv4Interface((int(self.pool.gateway), self.pool.subnet.prefixlen))
        if self._settings.bip:
            try:
                return ipaddress.IPv4Interface(self._settings.bip)
            except ValueError as exc:
                raise InvalidParameter(f"invalid bip {self._settings.bip!r}: {exc}") from exc
        subnet = self._choose_subnet()
        return ipaddress.IPv4Interface((int(subnet.network_address) + 1, subnet.prefixlen))

    def _configured_pool(self) -> AddressPool:
        config = self.record.config
        subnet = ipaddress.IPv4Network(config.subnet)
        return AddressPool(
            subnet,
            ipaddress.IPv4Address(config.gateway),
            ip_range=ipaddress.IPv4Network(config.ip_range, strict=False) if config.ip_range else None,
            reserved=[ipaddress.IPv4Address(address) for address in config.auxiliary.values()],
        )


def bridge_name(record: NetworkRecord) -> str:
    """The interface of a user-defined network, Docker's ``br-<12 hex digits>`` if the user named none."""
    return record.config.options.get(creation.BRIDGE_NAME) or f"br-{record.id[:12]}"

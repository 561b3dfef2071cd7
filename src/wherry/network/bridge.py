"""One Linux bridge with the gateway's address, made when the first container needs it.

``adopt``, ``ensure`` and ``remove`` are idempotent and serialised by the controller's lock.
"""

import errno
import hashlib
import ipaddress
from collections.abc import Callable

from wherry.errors import Conflict
from wherry.linux.rtnetlink import Batch, Rtnetlink


class Bridge:
    """``index`` is 0 while there is none. ``choose`` gives the gateway's address and prefix when it is made."""

    def __init__(self, name: str, *, mtu: int, alias: str, choose: Callable[[], ipaddress.IPv4Interface]) -> None:
        self.name = name
        self.mtu = mtu
        self._alias = alias
        self._choose = choose
        self.index = 0
        self.interface: ipaddress.IPv4Interface | None = None

    def adopt(self) -> bool:
        """Take over the bridge that an earlier engine process left; False when there is none."""
        with Rtnetlink() as rtnetlink:
            try:
                link = rtnetlink.link(self.name)
            except OSError as exc:
                if exc.errno == errno.ENODEV:
                    return False
                raise
            if link.kind != "bridge":
                raise Conflict(f"use bridge {self.name}: the host has a {link.kind or 'device'} of that name")
            for index, address in rtnetlink.addresses():
                if index == link.index and isinstance(address, ipaddress.IPv4Interface):
                    self.index, self.interface = link.index, address
                    return True
        return False

    def ensure(self) -> ipaddress.IPv4Interface:
        """The gateway's address and prefix; makes the bridge if need be."""
        if not (self.index and self.interface is not None) and not self.adopt():
            self._create()
        assert self.interface is not None
        return self.interface

    def remove(self) -> None:
        """Delete the bridge."""
        if self.index:
            with Rtnetlink() as rtnetlink:
                batch = Batch()
                batch.delete_link(self.name)
                try:
                    rtnetlink.apply(batch)
                except OSError as exc:
                    if exc.errno != errno.ENODEV:  # somebody removed it by hand
                        raise
        self.index, self.interface = 0, None

    def _create(self) -> None:
        interface = self._choose()
        with Rtnetlink() as rtnetlink:
            batch = Batch()
            batch.add_bridge(self.name, mtu=self.mtu, mac=_bridge_mac(self.name), alias=self._alias)
            batch.set_ipv4_only(self.name)
            batch.set_up(self.name)
            try:
                rtnetlink.apply(batch)
            except FileExistsError:
                pass  # half made by an engine that was killed; it gets its address now
            index = rtnetlink.link(self.name).index
            batch = Batch()
            batch.add_address(index, str(interface))
            rtnetlink.apply(batch)
        self.index, self.interface = index, interface


def host_networks() -> list[ipaddress.IPv4Network]:
    """What the host routes or has an address in."""
    with Rtnetlink() as rtnetlink:
        taken = [r.destination for r in rtnetlink.routes() if isinstance(r.destination, ipaddress.IPv4Network)]
        return taken + [a.network for _, a in rtnetlink.addresses() if isinstance(a, ipaddress.IPv4Interface)]


def _bridge_mac(name: str) -> str:
    digest = hashlib.sha256(name.encode()).digest()
    return "02:42:" + digest[:4].hex(":")

"""The default bridge: one Linux bridge with the gateway's address, made when the first container needs it.

    <run_root>/network.json    what ip_forward was before; kept until the bridge is removed

``ensure`` and ``remove`` are idempotent and serialised by the controller's lock.
"""

import errno
import hashlib
import ipaddress
import json
import os

from wherry.errors import Conflict, InvalidParameter
from wherry.linux.rtnetlink import Batch, Rtnetlink
from wherry.metadata.atomic_file import write_atomic
from wherry.network.ipam import free_subnet
from wherry.settings import Settings

_IP_FORWARD = "/proc/sys/net/ipv4/ip_forward"
_ALIAS = "wherry default bridge"


class Bridge:
    """State of the default bridge; ``index`` is 0 while there is none."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.name = settings.bridge_name
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
        """The gateway's address and prefix; makes the bridge and switches forwarding on if need be."""
        if self.index and self.interface is not None:
            return self.interface
        if not self.adopt():
            self._create()
        if self._settings.ip_forward:
            self._switch_forwarding_on()
        assert self.interface is not None
        return self.interface

    def remove(self) -> None:
        """Delete the bridge and put ip_forward back to what it was."""
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
        self._restore_forwarding()

    def _create(self) -> None:
        with Rtnetlink() as rtnetlink:
            interface = self._choose(rtnetlink)
            batch = Batch()
            batch.add_bridge(self.name, mtu=self._settings.mtu, mac=_bridge_mac(self.name), alias=_ALIAS)
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

    def _choose(self, rtnetlink: Rtnetlink) -> ipaddress.IPv4Interface:
        if self._settings.bip:
            try:
                return ipaddress.IPv4Interface(self._settings.bip)
            except ValueError as exc:
                raise InvalidParameter(f"invalid bip {self._settings.bip!r}: {exc}") from exc
        taken = [r.destination for r in rtnetlink.routes() if isinstance(r.destination, ipaddress.IPv4Network)]
        taken += [a.network for _, a in rtnetlink.addresses() if isinstance(a, ipaddress.IPv4Interface)]
        subnet = free_subnet(taken)
        return ipaddress.IPv4Interface((int(subnet.network_address) + 1, subnet.prefixlen))

    @property
    def _state_file(self) -> str:
        return f"{self._settings.run_root}/network.json"

    def _switch_forwarding_on(self) -> None:
        with open(_IP_FORWARD, encoding="ascii") as file:
            before = file.read().strip()
        if before == "1":
            return
        write_atomic(self._state_file, json.dumps({"ip_forward": before}).encode(), durable=False)
        with open(_IP_FORWARD, "w", encoding="ascii") as file:
            file.write("1")

    def _restore_forwarding(self) -> None:
        try:
            with open(self._state_file, encoding="ascii") as file:
                before = str(json.load(file)["ip_forward"])
        except FileNotFoundError:
            return
        with open(_IP_FORWARD, "w", encoding="ascii") as file:
            file.write(before)
        os.unlink(self._state_file)


def _bridge_mac(name: str) -> str:
    digest = hashlib.sha256(name.encode()).digest()
    return "02:42:" + digest[:4].hex(":")

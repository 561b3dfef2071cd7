"""Real packets between namespaces: what is reached, and what is not."""

import os
import socket
import subprocess

import pytest

from tests.network.conftest import (
    HOST_ADDRESS,
    NEIGHBOUR_ADDRESS,
    accepted_from,
    entered,
    listen,
    make_container,
    reaches,
)
from wherry.linux.rtnetlink import Batch, Rtnetlink
from wherry.network.controller import Attachment, NetworkController
from wherry.network.ports import PortBinding
from wherry.settings import Settings

pytestmark = pytest.mark.privileged


def _attach(controller: NetworkController, name: str, *ports: PortBinding) -> tuple[Attachment, int]:
    attachment = controller.attach(name * 8, name=name, mode="bridge", ports=ports)
    return attachment, make_container(attachment)


def _in_container(attachment: Attachment) -> str:
    return attachment.address


def test_a_published_port_is_reached_from_outside_with_the_source_address_kept(
    controller: NetworkController, neighbour: int
) -> None:
    attachment, container = _attach(controller, "web", PortBinding(80, "tcp", "", 8080))
    with listen(container, 80) as server:
        assert reaches(neighbour, HOST_ADDRESS, 8080)
        assert accepted_from(server) == NEIGHBOUR_ADDRESS
    attachment.close()
    os.close(container)


def test_the_host_reaches_a_published_port_on_its_own_address(controller: NetworkController, neighbour: int) -> None:
    attachment, container = _attach(controller, "web", PortBinding(80, "tcp", "", 8080))
    with listen(container, 80) as server:
        assert reaches(None, HOST_ADDRESS, 8080)
        assert accepted_from(server) == HOST_ADDRESS
    attachment.close()
    os.close(container)


def test_a_port_that_is_not_published_is_not_reached(controller: NetworkController, neighbour: int) -> None:
    attachment, container = _attach(controller, "web")
    with listen(container, 80):
        assert reaches(None, attachment.address, 80), "the host itself reaches its containers"
        assert not reaches(neighbour, HOST_ADDRESS, 80)
    os.close(container)


def test_s85_a_neighbour_with_a_route_to_the_bridge_reaches_no_container(
    controller: NetworkController, neighbour: int
) -> None:
    attachment, container = _attach(controller, "web", PortBinding(80, "tcp", "", 8080))
    with entered(neighbour), Rtnetlink() as rtnetlink:
        batch = Batch()
        batch.add_route("172.16.0.0/12", gateway=HOST_ADDRESS)
        rtnetlink.apply(batch)
    with listen(container, 80):
        assert not reaches(neighbour, attachment.address, 80)
        assert reaches(neighbour, HOST_ADDRESS, 8080)
    attachment.close()
    os.close(container)


def test_s84_a_port_published_on_loopback_is_not_reached_from_outside(
    controller: NetworkController, neighbour: int
) -> None:
    attachment, container = _attach(controller, "dns", PortBinding(53, "udp", "127.0.0.2", 5353))
    # The worst case: somebody switched on the routing of loopback addresses.
    with open("/proc/sys/net/ipv4/conf/uplink/route_localnet", "w", encoding="ascii") as file:
        file.write("1")
    with entered(neighbour):
        with Rtnetlink() as rtnetlink:
            batch = Batch()
            batch.add_route("127.0.0.2/32", gateway=HOST_ADDRESS, index=rtnetlink.link("eth0").index)
            rtnetlink.apply(batch)
        subprocess.run(["ip", "route", "del", "local", "127.0.0.0/8", "table", "local"], check=True, timeout=5)
        with open("/proc/sys/net/ipv4/conf/eth0/route_localnet", "w", encoding="ascii") as file:
            file.write("1")
        prober = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        prober.bind((NEIGHBOUR_ADDRESS, 0))
        prober.sendto(b"probe", ("127.0.0.2", 5353))
        prober.close()
    listener = attachment.listeners[0].listener
    listener.settimeout(0.5)
    with pytest.raises(TimeoutError):
        listener.recv(16)
    attachment.close()
    os.close(container)


def test_a_container_reaches_the_outside_under_the_hosts_address(
    controller: NetworkController, neighbour: int
) -> None:
    _, container = _attach(controller, "web")
    with listen(neighbour, 7000) as server:
        assert reaches(container, NEIGHBOUR_ADDRESS, 7000)
        assert accepted_from(server) == HOST_ADDRESS
    os.close(container)


def test_containers_of_one_bridge_reach_each_other(controller: NetworkController, neighbour: int) -> None:
    first, one = _attach(controller, "one")
    _, two = _attach(controller, "two")
    with listen(one, 80):
        assert reaches(two, first.address, 80)
    os.close(one)
    os.close(two)


def test_detach_closes_the_port_and_stop_leaves_nothing(
    controller: NetworkController, neighbour: int, settings: Settings
) -> None:
    with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as file:
        file.write("0")  # a new namespace inherits the machine's
    attachment, container = _attach(controller, "web", PortBinding(80, "tcp", "", 8080))
    attachment.close()
    with listen(container, 80):
        assert reaches(neighbour, HOST_ADDRESS, 8080)
        controller.detach("web" * 8)
        assert not reaches(neighbour, HOST_ADDRESS, 8080)
    os.close(container)
    controller.stop_if_unused()
    with Rtnetlink() as rtnetlink:
        assert "wherry0" not in {link.name for link in rtnetlink.links()}
    assert subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True, timeout=5).stdout == b""
    with open("/proc/sys/net/ipv4/ip_forward", encoding="ascii") as file:
        assert file.read().strip() == "0"


def test_r40_a_flushed_ruleset_is_restored_to_the_same_rules(controller: NetworkController, neighbour: int) -> None:
    attachment, container = _attach(controller, "web", PortBinding(80, "tcp", "", 8080))
    before = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True, timeout=5).stdout
    assert controller.reconcile() is False
    for _ in range(20):
        subprocess.run(["nft", "flush", "ruleset"], check=True, timeout=5)
        with listen(container, 80):
            assert not reaches(neighbour, attachment.address, 80), "without rules nothing is let in"
        assert controller.reconcile() is True
    after = subprocess.run(["nft", "list", "ruleset"], capture_output=True, check=True, timeout=5).stdout
    assert after == before
    attachment.close()
    os.close(container)


def test_s88_the_bridge_routes_no_loopback_and_has_no_ipv6(controller: NetworkController, host: None) -> None:
    _, container = _attach(controller, "web")
    with open("/proc/sys/net/ipv4/conf/wherry0/route_localnet", encoding="ascii") as file:
        assert file.read().strip() == "0"
    shown = subprocess.run(
        ["ip", "-6", "address", "show", "dev", "wherry0"], capture_output=True, check=True, timeout=5
    )
    assert shown.stdout == b""
    os.close(container)

"""Attach, detach, what an engine that starts again takes up, and the errors users see."""

import socket
from collections.abc import Iterator

import pytest

from wherry.metadata.database import Database
from wherry.network.controller import NetworkController, NetworkNotFound
from wherry.network.ports import PortBinding, PortUnavailable
from wherry.settings import Settings

pytestmark = [pytest.mark.privileged, pytest.mark.usefixtures("host")]


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("0.0.0.0", 0)) as server:
        yield server.getsockname()[1]


def test_a_taken_port_is_refused_with_dockers_words_and_the_address_is_free_again(
    controller: NetworkController, taken_port: int
) -> None:
    with pytest.raises(PortUnavailable) as caught:
        controller.attach("a", name="a", mode="bridge", ports=[PortBinding(80, "tcp", "", taken_port)])
    assert str(caught.value) == f"Bind for 0.0.0.0:{taken_port} failed: port is already allocated"
    assert controller.attach("b", name="b", mode="bridge").address == "172.17.0.2"


def test_an_ephemeral_port_is_the_same_for_both_families(controller: NetworkController) -> None:
    attachment = controller.attach("a", name="a", mode="bridge", ports=[PortBinding(80, "tcp", "", 0)])
    bindings = attachment.ports["80/tcp"]
    assert bindings is not None
    assert [binding["HostIp"] for binding in bindings] == ["0.0.0.0", "::"]
    assert len({binding["HostPort"] for binding in bindings}) == 1
    assert bindings[0]["HostPort"] != "0"
    attachment.close()


def test_an_exposed_port_without_publishing_is_shown_unbound(controller: NetworkController) -> None:
    attachment = controller.attach("a", name="a", mode="bridge", exposed=["443/tcp"])
    assert attachment.ports == {"443/tcp": None}


def test_addresses_are_given_lowest_first_and_come_back(controller: NetworkController) -> None:
    first = controller.attach("a", name="a", mode="bridge").address
    second = controller.attach("b", name="b", mode="bridge").address
    assert (first, second) == ("172.17.0.2", "172.17.0.3")
    controller.detach("a")
    assert controller.attach("c", name="c", mode="bridge").address == first


def test_an_engine_that_starts_again_keeps_what_lives_and_frees_the_rest(
    controller: NetworkController, settings: Settings, database: Database
) -> None:
    lives = controller.attach("lives", name="lives", mode="bridge", ports=[PortBinding(80, "tcp", "", 0)])
    controller.attach("died", name="died", mode="bridge")
    again = NetworkController(settings, database)
    again.start({"lives": lives.plan})
    assert again.reconcile() is False, "the firewall already holds the live container's port"
    assert again.attach("new", name="new", mode="bridge").address == "172.17.0.3"
    assert set(again.inspect("bridge")["Containers"]) == {"lives", "new"}
    lives.close()
    again.close()


def test_the_pool_avoids_a_subnet_that_the_host_routes(controller: NetworkController) -> None:
    from wherry.linux.rtnetlink import Batch, Rtnetlink

    with Rtnetlink() as rtnetlink:
        batch = Batch()
        batch.add_address(rtnetlink.link("lo").index, "172.17.9.1/24")
        rtnetlink.apply(batch)
    assert controller.attach("a", name="a", mode="bridge").address == "172.18.0.2"


def test_an_unknown_network_is_refused_with_dockers_words(controller: NetworkController) -> None:
    with pytest.raises(NetworkNotFound, match=r"^network nowhere not found$"):
        controller.attach("a", name="a", mode="nowhere")


def test_host_and_none_need_no_bridge(controller: NetworkController) -> None:
    assert controller.attach("a", name="a", mode="none").plan["mode"] == "none"
    assert controller.attach("b", name="b", mode="host").plan["mode"] == "host"
    assert controller.gateway == ""

"""User-defined networks between namespaces: subnets, addresses, isolation, and what an engine finds again."""

import json
import os
import threading
from pathlib import Path

import pytest

from tests.network.conftest import HOST_ADDRESS, NEIGHBOUR_ADDRESS, entered, listen, make_container, reaches
from wherry.errors import Conflict, Forbidden, InvalidParameter
from wherry.linux.rtnetlink import Batch, Rtnetlink
from wherry.metadata.database import Database
from wherry.network.controller import EndpointRequest, NetworkController, NetworkInUse
from wherry.network.creation import CreateNetwork, Pool
from wherry.network.dns_records import records_path
from wherry.network.ipam import AddressInUse
from wherry.network.ports import PortBinding
from wherry.settings import Settings

pytestmark = [pytest.mark.privileged, pytest.mark.usefixtures("host")]


def _create(
    controller: NetworkController, name: str, subnet: str = "", *, internal: bool = False, **options: str
) -> str:
    pools = (Pool(subnet, "", "", {}),) if subnet else ()
    named = {f"com.docker.network.{key.replace('__', '.')}": value for key, value in options.items()}
    return controller.create(CreateNetwork(name, pools=pools, internal=internal, options=named)).id


def test_s86_networks_do_not_reach_each_other(controller: NetworkController) -> None:
    _create(controller, "one", "10.1.0.0/24")
    _create(controller, "two", "10.2.0.0/24")
    one = controller.attach("a", name="a", mode="one")
    two = controller.attach("b", name="b", mode="two")
    three = controller.attach("c", name="c", mode="bridge")
    namespaces = [make_container(attachment) for attachment in (one, two, three)]
    with listen(namespaces[0], 80):
        assert reaches(None, one.address, 80), "the host reaches its containers"
        assert not reaches(namespaces[1], one.address, 80)
        assert not reaches(namespaces[2], one.address, 80)
    for namespace in namespaces:
        os.close(namespace)


def test_s86_an_internal_network_has_no_way_out_and_publishes_nothing(
    controller: NetworkController, neighbour: int
) -> None:
    _create(controller, "inside", "10.1.0.0/24", internal=True)
    attachment = controller.attach("a", name="a", mode="inside", ports=[PortBinding(80, "tcp", "", 8080)])
    assert attachment.plan["routes"] == []
    assert attachment.listeners == []
    box = make_container(attachment)
    with entered(box), Rtnetlink() as inside:  # what a container with NET_ADMIN may do
        batch = Batch()
        batch.add_route("0.0.0.0/0", gateway="10.1.0.1")
        inside.apply(batch)
    with entered(neighbour), Rtnetlink() as outside:
        batch = Batch()
        batch.add_route("10.1.0.0/24", gateway=HOST_ADDRESS)
        outside.apply(batch)
    with listen(neighbour, 80):
        assert not reaches(box, NEIGHBOUR_ADDRESS, 80)
    with listen(box, 80):
        assert not reaches(neighbour, attachment.address, 80)
        assert not reaches(neighbour, HOST_ADDRESS, 8080)
    os.close(box)


def test_a_published_port_and_masquerade_work_on_a_user_defined_network(
    controller: NetworkController, neighbour: int
) -> None:
    _create(controller, "web", "10.1.0.0/24")
    attachment = controller.attach("a", name="a", mode="web", ports=[PortBinding(80, "tcp", "", 8080)])
    box = make_container(attachment)
    with listen(box, 80):
        assert reaches(neighbour, HOST_ADDRESS, 8080)
    with listen(neighbour, 81):
        assert reaches(box, NEIGHBOUR_ADDRESS, 81)
    attachment.close()
    os.close(box)


def test_containers_of_a_network_without_icc_do_not_reach_each_other(controller: NetworkController) -> None:
    _create(controller, "apart", "10.1.0.0/24", bridge__enable_icc="false")
    _create(controller, "together", "10.2.0.0/24")
    for network, expected in (("apart", False), ("together", True)):
        first = controller.attach(f"{network}1", name="1", mode=network)
        second = controller.attach(f"{network}2", name="2", mode=network)
        assert [i["isolated"] for i in first.plan["interfaces"]] == [not expected]
        namespaces = [make_container(attachment) for attachment in (first, second)]
        with listen(namespaces[0], 80):
            assert reaches(namespaces[1], first.address, 80) is expected
            assert reaches(None, first.address, 80)
        for namespace in namespaces:
            os.close(namespace)


def test_subnets_are_the_first_free_ones_and_never_overlap(controller: NetworkController) -> None:
    controller.attach("a", name="a", mode="bridge")
    found = [controller.inspect(_create(controller, name))["IPAM"]["Config"] for name in ("n1", "n2")]
    assert found == [
        [{"Subnet": "172.18.0.0/16", "Gateway": "172.18.0.1"}],
        [{"Subnet": "172.19.0.0/16", "Gateway": "172.19.0.1"}],
    ]
    with pytest.raises(Forbidden, match="Pool overlaps with other one on this address space"):
        _create(controller, "n3", "172.18.4.0/24")


def test_default_address_pools_are_taken_from_the_settings(settings: Settings, database: Database) -> None:
    from dataclasses import replace

    pooled = replace(settings, default_address_pools=(("10.80.0.0/23", 24),))
    controller = NetworkController(pooled, database)
    subnets = [controller.inspect(_create(controller, n))["IPAM"]["Config"][0]["Subnet"] for n in ("a", "b")]
    assert subnets == ["10.80.0.0/24", "10.80.1.0/24"]
    with pytest.raises(Conflict, match="could not find an available, non-overlapping IPv4 address pool"):
        _create(controller, "c")
    controller.close()


def test_addresses_come_from_the_range_and_static_ones_from_the_subnet(controller: NetworkController) -> None:
    pool = Pool("10.1.0.0/24", "10.1.0.16/29", "10.1.0.254", {"printer": "10.1.0.17"})
    controller.create(CreateNetwork("n", pools=(pool,)))
    addresses = [controller.attach(name, name=name, mode="n").address for name in ("a", "b")]
    assert addresses == ["10.1.0.16", "10.1.0.18"]
    static = controller.attach("c", name="c", mode="n", endpoints=[EndpointRequest("n", address="10.1.0.200")])
    assert (static.address, static.gateway) == ("10.1.0.200", "10.1.0.254")
    for taken in ("10.1.0.200", "10.1.0.254", "10.1.0.17"):
        with pytest.raises(AddressInUse, match=r"^Address already in use$"):
            controller.attach("d", name="d", mode="n", endpoints=[EndpointRequest("n", address=taken)])


@pytest.mark.parametrize(
    ("pool", "words"),
    [
        (Pool("10.1.0.5/24", "", "", {}), "invalid subnet 10.1.0.5/24: it should be 10.1.0.0/24"),
        (Pool("10.1.0.0/24", "10.2.0.0/25", "", {}), "parent subnet 10.1.0.0/24 doesn't contain ip-range"),
        (Pool("10.1.0.0/24", "", "10.2.0.1", {}), "parent subnet 10.1.0.0/24 doesn't contain this address"),
        (Pool("nonsense", "", "", {}), "invalid subnet nonsense: invalid CIDR block notation"),
    ],
)
def test_a_wrong_pool_is_refused(controller: NetworkController, pool: Pool, words: str) -> None:
    with pytest.raises(InvalidParameter, match=words):
        controller.create(CreateNetwork("n", pools=(pool,)))


def test_r39_a_static_address_is_given_once_however_many_ask(controller: NetworkController) -> None:
    _create(controller, "n", "10.1.0.0/24")
    outcomes: list[str] = []

    def ask(number: int) -> None:
        wanted = "10.1.0.99" if number % 2 else ""
        try:
            outcomes.append(
                controller.attach(str(number), name="x", mode="n", endpoints=[EndpointRequest("n", wanted)]).address
            )
        except AddressInUse:
            outcomes.append("refused")

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    given = [address for address in outcomes if address != "refused"]
    assert len(given) == len(set(given)) == 21
    assert outcomes.count("refused") == 19


def test_networks_outlive_the_engine_and_addresses_of_the_dead_are_free(
    controller: NetworkController, settings: Settings, database: Database
) -> None:
    _create(controller, "n", "10.1.0.0/24")
    lives = controller.attach("lives", name="lives", mode="n", ports=[PortBinding(80, "tcp", "", 0)])
    controller.attach("died", name="died", mode="n")
    again = NetworkController(settings, database)
    again.start({"lives": lives.plan})
    assert again.reconcile() is False, "the firewall already holds the live container's port"
    assert again.attach("new", name="new", mode="n").address == "10.1.0.3"
    with pytest.raises(NetworkInUse, match=r'network n has active endpoints \(name:"lives" id:"[0-9a-f]{12}"'):
        again.remove("n")
    again.detach("lives")
    again.detach("new")
    again.remove("n")
    with Rtnetlink() as rtnetlink:
        assert [link.name for link in rtnetlink.links() if link.name.startswith("br-")] == []
    lives.close()
    again.close()


def test_the_name_and_the_mtu_of_the_bridge_are_as_asked(controller: NetworkController) -> None:
    _create(controller, "n", "10.1.0.0/24", bridge__name="blue0", driver__mtu="1400")
    controller.attach("a", name="a", mode="n")
    with Rtnetlink() as rtnetlink:
        blue = rtnetlink.link("blue0")
        assert blue.mtu == 1400
        on_it = [address for index, address in rtnetlink.addresses() if index == blue.index]
        assert [str(address) for address in on_it] == ["10.1.0.1/24"], "S88: no IPv6"
    with pytest.raises(Forbidden, match="bridge name blue0 is already in use by network n"):
        _create(controller, "m", "10.2.0.0/24", bridge__name="blue0")


def test_the_default_route_moves_with_connect_and_disconnect(controller: NetworkController) -> None:
    _create(controller, "a", "10.1.0.0/24")
    _create(controller, "b", "10.2.0.0/24")
    controller.attach("c", name="c", mode="a")
    change = controller.connect("c", EndpointRequest("b", gateway_priority=1))
    assert change.message["routes"] == [{"destination": "0.0.0.0/0", "gateway": "10.2.0.1", "interface": "eth1"}]
    with pytest.raises(Forbidden, match="endpoint with name c already exists in network b"):
        controller.connect("c", EndpointRequest("b"))
    change = controller.without("c", "b")
    assert change.message == {
        "add": [],
        "remove": ["eth1"],
        "routes": [{"destination": "0.0.0.0/0", "gateway": "10.1.0.1", "interface": "eth0"}],
    }
    controller.disconnect("c", "b")
    assert set(controller.inspect("b")["Containers"]) == set()


def test_the_names_of_a_network_are_written_as_endpoints_come_and_go(
    controller: NetworkController, settings: Settings, database: Database
) -> None:
    network = _create(controller, "n", "10.1.0.0/24", internal=True)

    def written() -> dict[str, object]:
        text = Path(records_path(settings.run_root, network)).read_text(encoding="utf-8")
        document: dict[str, object] = json.loads(text)
        return document

    web = controller.attach(
        "a", name="web", mode="n", endpoints=[EndpointRequest("n", dns_names=("web", "w", "web"))]
    )
    controller.attach("b", name="b", mode="bridge")
    controller.connect("b", EndpointRequest("n", dns_names=("db",)))
    names = {"container": "a", "names": ["web", "w"], "addresses": ["10.1.0.2"]}
    assert written() == {
        "network": "n",
        "internal": True,
        "records": [names, {"container": "b", "names": ["db"], "addresses": ["10.1.0.3"]}],
    }
    controller.disconnect("b", "n")
    assert written()["records"] == [names]
    again = NetworkController(settings, database)
    os.unlink(records_path(settings.run_root, network))
    again.start({"a": web.plan})
    assert written()["records"] == [names]
    again.detach("a")
    assert written()["records"] == []
    again.remove("n")
    assert not os.path.exists(records_path(settings.run_root, network))
    again.close()


def test_r06_names_that_cannot_be_written_refuse_a_start_whole_and_do_not_keep_an_end_back(
    controller: NetworkController, settings: Settings
) -> None:
    network = _create(controller, "one", "10.1.0.0/29")
    controller.attach("a", name="a", mode="one")
    names = Path(records_path(settings.run_root, network)).parent
    names.rename(f"{names}.away")
    names.touch()  # nothing can be written below a file, not even by root
    for _ in range(8):  # more often than there are addresses
        with pytest.raises(OSError, match="dns"):
            controller.attach("b", name="b", mode="one")
    controller.attach("c", name="c", mode="bridge")
    for _ in range(8):
        with pytest.raises(OSError, match="dns"):
            controller.connect("c", EndpointRequest("one"))
    controller.detach("a")
    assert controller.inspect("one")["Containers"] == {}
    names.unlink()
    assert controller.attach("d", name="d", mode="one").address == "10.1.0.2"
    assert [
        record["names"]
        for record in json.loads(Path(records_path(settings.run_root, network)).read_text())["records"]
    ]


@pytest.mark.parametrize("address", ["10.1.0.0", "10.1.0.255", "10.1.0.1"])
def test_the_subnets_own_addresses_are_not_given_to_a_container(controller: NetworkController, address: str) -> None:
    _create(controller, "one", "10.1.0.0/24")
    with pytest.raises(AddressInUse, match="Address already in use"):
        controller.attach("a", name="a", mode="one", endpoints=[EndpointRequest("one", address=address)])

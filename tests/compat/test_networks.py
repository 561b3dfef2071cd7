"""User-defined networks as the docker CLI and docker-py see them."""

import json
import time

import docker
import pytest
from docker.errors import APIError
from docker.types import EndpointConfig, IPAMConfig, IPAMPool

from tests.compat.conftest import DockerCli

pytestmark = pytest.mark.privileged


def _addresses(cli: DockerCli, container: str) -> dict[str, str]:
    found = json.loads(cli.out("inspect", "-f", "{{json .NetworkSettings.Networks}}", container))
    return {name: endpoint["IPAddress"] for name, endpoint in found.items()}


def test_containers_of_a_user_defined_network_reach_each_other_and_no_other_network(cli: DockerCli) -> None:
    cli("network", "create", "--subnet", "10.91.1.0/24", "one")
    cli("network", "create", "--subnet", "10.91.2.0/24", "two")
    cli("run", "-d", "--name", "web", "--network", "one", "--ip", "10.91.1.77", "busybox", "sh", "-c",
        "while true; do echo hello | nc -l -p 80; done")  # fmt: skip
    assert _addresses(cli, "web") == {"one": "10.91.1.77"}
    assert cli.out("run", "--rm", "--network", "one", "busybox", "nc", "10.91.1.77", "80") == "hello"
    assert cli(
        "run", "--rm", "--network", "two", "busybox", "nc", "-w", "1", "10.91.1.77", "80", check=False
    ).returncode
    assert cli("run", "--rm", "busybox", "nc", "-w", "1", "10.91.1.77", "80", check=False).returncode
    refused = cli("network", "rm", "one", check=False).stderr
    assert 'error while removing network: network one has active endpoints (name:"web" id:"' in refused
    cli("rm", "-f", "web")
    assert cli.out("network", "rm", "one", "two").split() == ["one", "two"]


def test_a_running_container_is_connected_and_disconnected(cli: DockerCli) -> None:
    cli("network", "create", "--subnet", "10.92.1.0/24", "front")
    cli("network", "create", "--internal", "--subnet", "10.92.2.0/24", "back")
    cli("run", "-d", "--name", "box", "--network", "back", "busybox", "sleep", "600")
    routes = ("exec", "box", "ip", "route")
    assert "default" not in cli.out(*routes), "an internal network is no way out"
    cli("network", "connect", "--ip", "10.92.1.9", "--alias", "app", "front", "box")
    assert _addresses(cli, "box") == {"back": "10.92.2.2", "front": "10.92.1.9"}
    assert "default via 10.92.1.1 dev eth1" in cli.out(*routes)
    assert "10.92.1.9" in cli.out("exec", "box", "cat", "/etc/hosts")
    assert cli("exec", "box", "ping", "-c", "1", "-W", "2", "10.92.1.1").returncode == 0
    cli("network", "disconnect", "front", "box")
    assert _addresses(cli, "box") == {"back": "10.92.2.2"}
    assert "10.92.1" not in cli.out(*routes) + cli.out("exec", "box", "cat", "/etc/hosts")
    cli("network", "connect", "front", "box")
    cli("restart", "-t", "0", "box")
    assert set(_addresses(cli, "box")) == {"back", "front"}
    cli("rm", "-f", "box")
    assert cli.out("network", "prune", "-f").split()[2:] == ["back", "front"]


def test_several_networks_at_once_and_the_default_route_by_priority(cli: DockerCli) -> None:
    for name, third in (("n1", 1), ("n2", 2), ("n3", 3)):
        cli("network", "create", "--subnet", f"10.93.{third}.0/24", name)
    shown = cli.out(
        "run", "--rm", "--network", "n2", "--network", "name=n1,ip=10.93.1.50",
        "--network", "name=n3,gw-priority=5,mac-address=02:aa:bb:cc:dd:ee", "busybox", "sh", "-c", "ip route; ip link",
    )  # fmt: skip
    assert "default via 10.93.3.1 dev eth2" in shown
    assert "10.93.1.0/24 dev eth1 scope link  src 10.93.1.50" in shown
    assert "02:aa:bb:cc:dd:ee" in shown
    cli("network", "rm", "n1", "n2", "n3")


def test_the_words_of_refusals_are_dockers(cli: DockerCli) -> None:
    cli("network", "create", "--subnet", "10.94.0.0/16", "big")

    def refusal(*arguments: str) -> str:
        return cli(*arguments, check=False).stderr.strip()

    assert "network with name big already exists" in refusal("network", "create", "big")
    assert "invalid pool request: Pool overlaps with other one on this address space" in refusal(
        "network", "create", "--subnet", "10.94.7.0/24", "small"
    )
    assert "operation is not permitted on predefined bridge network" in refusal("network", "create", "bridge")
    assert "no configured subnet or ip-range contain the IP address 10.1.1.1" in refusal(
        "run", "--network", "big", "--ip", "10.1.1.1", "busybox"
    )
    cli("run", "-d", "--name", "holder", "--network", "big", "--ip", "10.94.0.9", "busybox", "sleep", "600")
    assert "Address already in use" in refusal("run", "--network", "big", "--ip", "10.94.0.9", "busybox")
    assert "endpoint with name holder already exists in network big" in refusal("network", "connect", "big", "holder")
    assert "is not connected to network bridge" in refusal("network", "disconnect", "bridge", "holder")
    assert "network nosuch not found" in refusal("network", "connect", "nosuch", "holder")
    cli("rm", "-f", "holder")
    cli("network", "rm", "big")


def test_docker_py_creates_inspects_filters_and_prunes(sdk: docker.DockerClient) -> None:
    pool = IPAMPool(subnet="10.95.0.0/16", iprange="10.95.8.0/24", gateway="10.95.0.254",
                    aux_addresses={"printer": "10.95.8.0"})  # fmt: skip
    network = sdk.networks.create(
        "lab", labels={"tier": "test"}, internal=True, options={"com.docker.network.driver.mtu": "1400"},
        ipam=IPAMConfig(pool_configs=[pool]),
    )  # fmt: skip
    network.reload()
    assert network.attrs["IPAM"]["Config"] == [
        {"Subnet": "10.95.0.0/16", "IPRange": "10.95.8.0/24", "Gateway": "10.95.0.254",
         "AuxiliaryAddresses": {"printer": "10.95.8.0"}}
    ]  # fmt: skip
    assert network.attrs["IPAM"]["Options"] is None  # as it was sent
    assert network.attrs["Internal"] is True
    assert network.attrs["Options"] == {"com.docker.network.driver.mtu": "1400"}
    assert [n.name for n in sdk.networks.list(filters={"label": "tier=test"})] == ["lab"]
    assert [n.name for n in sdk.networks.list(filters={"type": "custom", "dangling": True})] == ["lab"]
    box = sdk.containers.create("busybox", ["cat", "/sys/class/net/eth0/mtu"], network="lab",
                                networking_config={"lab": EndpointConfig("1.51", aliases=["x"])})  # fmt: skip
    box.start()
    box.wait()
    assert box.logs() == b"1400\n"
    box.remove()
    with pytest.raises(APIError, match="already exists"):
        sdk.networks.create("lab")
    assert sdk.networks.prune(filters={"label": "tier=test"}) == {"NetworksDeleted": ["lab"]}


def test_what_happens_to_a_network_is_told(cli: DockerCli) -> None:
    cli("network", "create", "told")
    cli("run", "--rm", "--network", "told", "busybox", "true")
    cli("network", "rm", "told")
    events = cli.out("events", "--since", "1m", "--until", str(time.time()), "--filter", "type=network", "--format",
                     "{{.Action}} {{.Actor.Attributes.name}} {{.Actor.Attributes.type}}").split("\n")  # fmt: skip
    assert [e for e in events if " told " in e] == [
        f"{action} told bridge" for action in ("create", "connect", "disconnect", "destroy")
    ]

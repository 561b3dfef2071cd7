"""Networks and the life of the engine: a kill loses no network, no address, and leaves nothing behind."""

import json

import pytest

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged


def _address(engine: EngineUnderTest, name: str, network: str) -> str:
    found = json.loads(engine.wherry("inspect", name).stdout)[0]["NetworkSettings"]["Networks"]
    address: str = found[network]["IPAddress"]
    return address


def test_r31_networks_and_live_connections_survive_the_engine_and_addresses_come_back(
    fresh_engine: EngineUnderTest,
) -> None:
    run = fresh_engine.wherry
    run("network", "create", "--subnet", "10.81.0.0/24", "one")
    run("network", "create", "--subnet", "10.82.0.0/24", "two")
    run("run", "-d", "--name", "steady", "--network", "one", "busybox", "sleep", "600")
    run("run", "-d", "--name", "brief", "--network", "one", "--ip", "10.81.0.50", "busybox", "sleep", "600")
    run("network", "connect", "--ip", "10.82.0.9", "two", "steady")
    fresh_engine.kill_engine()
    run("kill", "brief")
    fresh_engine.kill_engine()
    assert _address(fresh_engine, "steady", "one") == "10.81.0.2"
    assert _address(fresh_engine, "steady", "two") == "10.82.0.9"
    refused = run("run", "--rm", "--network", "two", "--ip", "10.82.0.9", "busybox", "true", check=False)
    assert "Address already in use" in refused.stderr
    run("run", "--rm", "--network", "one", "--ip", "10.81.0.50", "busybox", "true")
    assert "has active endpoints" in run("network", "rm", "two", check=False).stderr
    run("network", "disconnect", "two", "steady")
    fresh_engine.kill_engine()
    assert "10.82" not in run("exec", "steady", "ip", "addr").stdout
    run("network", "rm", "two")
    run("rm", "-f", "steady", "brief")
    assert run("network", "rm", "one").stdout == "one\n"


def test_a_network_without_containers_leaves_no_interface(fresh_engine: EngineUnderTest) -> None:
    run = fresh_engine.wherry
    run("network", "create", "-o", "com.docker.network.bridge.name=whtestbr0", "named")
    run("run", "--rm", "--network", "named", "busybox", "true")
    fresh_engine.stop()
    with open("/proc/net/dev", encoding="ascii") as file:
        assert "whtestbr0" not in file.read()
    assert "named" in run("network", "ls", "--format", "{{.Name}}").stdout.split()

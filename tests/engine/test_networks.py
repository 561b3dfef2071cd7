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


def test_names_and_name_servers_of_a_container_are_written_for_its_monitor_and_follow_its_changes(
    fresh_engine: EngineUnderTest,
) -> None:
    run = fresh_engine.wherry
    inside, outside = (
        run("network", "create", *internal, name).stdout.strip()
        for name, internal in (("inside", ("--internal",)), ("outside", ()))
    )
    identity = run("run", "-d", "--name", "web", "--network", "inside", "--dns", "192.0.2.53", "--network-alias", "www",
                   "busybox", "sleep", "600").stdout.strip()  # fmt: skip

    def names(network: str) -> list[list[str]]:
        document = json.loads((fresh_engine.run_root / "dns" / f"{network}.json").read_text(encoding="utf-8"))
        return [record["names"] for record in document["records"]]

    def plan() -> dict[str, object]:
        adoption = fresh_engine.run_root / "containers" / identity / "network.json"
        part: dict[str, object] = json.loads(adoption.read_text(encoding="utf-8"))["plan"]["dns"]
        return part

    assert names(inside) == [["web", "www", identity[:12]]]
    records = [f"{fresh_engine.run_root}/dns/{network}.json" for network in (inside, outside)]
    common = {"links": {}, "upstreams": ["192.0.2.53"], "options": plan()["options"]}
    assert plan() == {"records": records[:1], "external": False, **common}
    run("network", "connect", "outside", "web")
    assert plan() == {"records": records, "external": True, **common}
    run("rename", "web", "shop")
    fresh_engine.kill_engine()
    run("ps")
    assert names(inside) == [["shop", "www", identity[:12]]]
    assert names(outside) == [["shop", identity[:12]]]
    run("rm", "-f", "shop")
    run("network", "rm", "inside", "outside")

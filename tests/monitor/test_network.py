"""The network plan and the proxies, between real namespaces."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.monitor.conftest import Machine, read_to_end, run_quiet, wait_until
from wherry.linux.namespaces import CLONE_NEWNET, open_namespace, setns
from wherry.linux.rtnetlink import Batch, Rtnetlink
from wherry.runtime.failure import RuntimeFailure

pytestmark = pytest.mark.privileged


@pytest.fixture
def bridge() -> Iterator[str]:
    """A bridge of the test's own with 10.213.<n>.1/24."""
    name = f"whm{os.getpid() % 100000}"
    with Rtnetlink() as host:
        batch = Batch()
        batch.add_bridge(name, mtu=1500, mac="02:42:0a:d5:00:01")
        host.apply(batch)
        batch = Batch()
        batch.add_address(host.link(name).index, "10.213.77.1/24")
        batch.set_up(name)
        host.apply(batch)
        yield name
        batch = Batch()
        batch.delete_link(name)
        host.apply(batch)


def plan(bridge: str, proxies: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {
        "mode": "bridge",
        "interfaces": [{"name": "eth0", "host_name": f"v{bridge}", "bridge": bridge, "mac": "02:42:0a:d5:00:02",
                        "mtu": 1400, "addresses": ["10.213.77.2/24"]}],
        "routes": [{"destination": "0.0.0.0/0", "gateway": "10.213.77.1", "interface": "eth0"}],
        "proxies": proxies or [],
    }  # fmt: skip


def link_exists(name: str) -> bool:
    return os.path.exists(f"/sys/class/net/{name}")


def test_without_network_there_is_only_a_loopback_that_is_up(machine: Machine) -> None:
    box = machine.shell(
        "ls /sys/class/net 2>/dev/null; cat /proc/net/dev; nc -l -p 99 & sleep 0.2; echo hi | nc 127.0.0.1 99"
    )
    box.wait_exit()
    assert "eth0" not in box.output()
    assert "hi" in box.output()


def test_the_plan_is_executed_and_taken_down(machine: Machine, bridge: str) -> None:
    box = machine.shell("cat /proc/net/route; sleep 100", network=plan(bridge))
    wait_until(lambda: "eth0" in box.output(), what="routes")
    assert "eth0\t00000000\t014DD50A" in box.output()
    assert link_exists(f"v{bridge}")
    assert run_quiet(["cat", f"/sys/class/net/v{bridge}/mtu"]) == "1400\n"
    counters = box.connection.stats()["networks"]["eth0"]
    assert set(counters) == {
        f"{way}_{kind}" for way in ("rx", "tx") for kind in ("bytes", "packets", "errors", "dropped")
    }
    box.connection.kill(signal.SIGKILL)
    box.wait_exit()
    assert not link_exists(f"v{bridge}")


def test_a_restart_keeps_the_namespace(machine: Machine, bridge: str) -> None:
    script = "readlink /proc/self/ns/net; cat /proc/net/route; exit 1"
    box = machine.shell(script, network=plan(bridge), restart={"policy": "on-failure", "max_retries": 1})
    box.wait_exit()
    half = len(box.output()) // 2
    assert box.output()[:half] == box.output()[half:]


def test_a_plan_that_cannot_be_executed_fails_the_start_and_leaves_nothing(machine: Machine) -> None:
    box = machine.spawn(["/bin/true"], network=plan("nobridge0"))
    with pytest.raises(RuntimeFailure, match="set up network: find link nobridge0: No such device"):
        box.connection.start()
    box.wait_exit()
    assert not link_exists("vnobridge0")


def _second(bridge: str, name: str = "") -> dict[str, Any]:
    return {"name": "eth1", "host_name": f"w{bridge}", "bridge": name or bridge, "mac": "02:42:0a:d5:00:03",
            "mtu": 1400, "addresses": ["10.213.78.2/24"]}  # fmt: skip


def test_a_running_container_gets_and_loses_interfaces_and_keeps_them_over_a_restart(
    machine: Machine, bridge: str
) -> None:
    script = "trap 'exit 1' USR1; while true; do cat /proc/net/route | tr '\\n' '|'; echo; sleep 0.1; done"
    box = machine.shell(script, network=plan(bridge), restart={"policy": "on-failure", "max_retries": 1})
    wait_until(lambda: "eth0" in box.output(), what="the first interface")
    route = [{"destination": "0.0.0.0/0", "gateway": "10.213.78.1", "interface": "eth1"}]
    box.connection.change_network(add=[_second(bridge)], remove=[], routes=route, dns=None)
    wait_until(lambda: "eth1\t00000000\t014ED50A" in box.output(), what="the default route through the new one")
    box.connection.kill(signal.SIGUSR1)  # ends it: a restart by policy
    wait_until(lambda: box.connection.state()["restart_count"] == 1, what="the restart")
    seen = len(box.output())
    wait_until(lambda: "eth1\t00000000\t014ED50A" in box.output()[seen:], what="the route after the restart")
    box.connection.change_network(add=[], remove=["eth1"], routes=plan(bridge)["routes"], dns=None)
    assert not link_exists(f"w{bridge}")
    wait_until(lambda: box.output().split("\n")[-2].startswith("Iface") and "eth1" not in box.output().split("\n")[-2],
               what="the old route alone")  # fmt: skip
    assert "eth0\t00000000\t014DD50A" in box.output().split("\n")[-2]
    box.connection.kill(signal.SIGKILL)
    box.wait_exit()
    assert not link_exists(f"v{bridge}")


def test_a_change_that_the_kernel_refuses_leaves_the_container_as_it_was(machine: Machine, bridge: str) -> None:
    box = machine.shell("sleep 100", network=plan(bridge))
    with pytest.raises(RuntimeFailure, match="set up network: find link nobridge0: No such device"):
        box.connection.change_network(add=[_second(bridge, "nobridge0")], remove=[], routes=[], dns=None)
    assert link_exists(f"v{bridge}")
    box.connection.change_network(add=[_second(bridge)], remove=[], routes=plan(bridge)["routes"], dns=None)
    assert link_exists(f"w{bridge}")
    box.connection.kill(signal.SIGKILL)
    box.wait_exit()
    assert not link_exists(f"w{bridge}")


def test_containers_can_share_a_network_namespace(machine: Machine) -> None:
    first = machine.run(["/bin/sleep", "100"])
    pid = first.connection.state()["pid"]
    second = machine.run(["/bin/readlink", "/proc/self/ns/net"], network={"mode": "join", "join_pid": pid})
    second.wait_exit()
    assert second.output().strip() == os.readlink(f"/proc/{pid}/ns/net")


def test_the_hosts_network_is_the_hosts(machine: Machine) -> None:
    spec = machine.spec(["/bin/readlink", "/proc/self/ns/net"])
    spec["linux"]["namespaces"] = [n for n in spec["linux"]["namespaces"] if n["type"] != "network"]
    box = machine.run([], spec=spec, network={"mode": "host"})
    box.wait_exit()
    assert box.output().strip() == os.readlink("/proc/self/ns/net")


def test_a_container_with_a_user_namespace_owns_its_network(machine: Machine, bridge: str) -> None:
    spec = machine.spec(["/bin/sh", "-c", "cat /proc/net/route; cat /proc/self/uid_map"])
    spec["linux"]["namespaces"].append({"type": "user"})
    mapping = [{"containerID": 0, "hostID": 100000, "size": 65536}]
    spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = mapping
    spec["process"]["capabilities"]["effective"] = spec["process"]["capabilities"]["bounding"]
    machine.root.chmod(0o755)
    box = machine.run([], spec=spec, network=plan(bridge), restart={"policy": "no"})
    box.wait_exit()
    assert "eth0\t00000000" in box.output()
    assert "100000" in box.output()


def listener(kind: int) -> tuple[socket.socket, int]:
    endpoint = socket.socket(socket.AF_INET, kind)
    endpoint.bind(("127.0.0.1", 0))
    if kind == socket.SOCK_STREAM:
        endpoint.listen(64)
    return endpoint, endpoint.getsockname()[1]


def proxied(machine: Machine, bridge: str, script: str, kind: int) -> tuple[Any, int]:
    endpoint, port = listener(kind)
    protocol = "tcp" if kind == socket.SOCK_STREAM else "udp"
    proxies = [{"listener": 0, "protocol": protocol, "address": "10.213.77.2", "port": 80}]
    box = machine.shell(script, network=plan(bridge, proxies), listeners=[endpoint.fileno()])
    endpoint.close()
    return box, port


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def send_all(client: socket.socket, data: bytes) -> None:
    client.sendall(data)
    client.shutdown(socket.SHUT_WR)


def test_a_tcp_proxy_carries_both_ways_and_keeps_half_closes(machine: Machine, bridge: str) -> None:
    _, port = proxied(machine, bridge, "while :; do nc -l -p 80 -e cat; done", socket.SOCK_STREAM)
    sent = os.urandom(3 << 20)

    def exchange() -> bytes | None:
        with connect(port) as client:
            try:
                writer = threading.Thread(target=send_all, args=(client, sent))
                writer.start()
                received = read_to_end(client)
                writer.join()
                return received
            except OSError:
                return None  # the container does not listen yet

    errors: list[threading.ExceptHookArgs] = []
    old, threading.excepthook = threading.excepthook, errors.append
    try:
        assert wait_until(exchange, what="answer") == sent
    finally:
        threading.excepthook = old


def test_a_tcp_proxy_resets_when_nobody_listens_and_leaves_no_descriptor(machine: Machine, bridge: str) -> None:
    box, port = proxied(machine, bridge, "sleep 100", socket.SOCK_STREAM)
    fds = f"/proc/{box.connection.state()['monitor_pid']}/fd"
    before = len(os.listdir(fds))
    for _ in range(30):
        with pytest.raises(ConnectionResetError), connect(port) as client:
            while client.recv(10):
                pass
    wait_until(lambda: len(os.listdir(fds)) == before, what="descriptors closed")


def echo_in(pid: int) -> int:
    """A process in the container's network namespace that echoes datagrams; its pid."""
    child = os.fork()
    if child:
        return child
    try:
        setns(open_namespace(pid, "network"), CLONE_NEWNET)
        server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        server.bind(("10.213.77.2", 80))
        while True:
            data, peer = server.recvfrom(2000)
            server.sendto(data.upper(), peer)
    finally:
        os._exit(1)


def test_a_udp_proxy_answers_each_client(machine: Machine, bridge: str) -> None:
    box, port = proxied(machine, bridge, "sleep 100", socket.SOCK_DGRAM)
    server = echo_in(box.connection.state()["pid"])
    try:
        clients = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(3)]
        for number, client in enumerate(clients):
            client.settimeout(0.2)

            def exchange(client: socket.socket = client, number: int = number) -> bytes | None:
                client.sendto(b"ping %d" % number, ("127.0.0.1", port))
                try:
                    return client.recv(100)
                except OSError:
                    return None  # the server is not there yet

            assert wait_until(exchange, what="answer") == b"PING %d" % number
        for client in clients:
            client.close()
    finally:
        os.kill(server, signal.SIGKILL)
        os.waitpid(server, 0)

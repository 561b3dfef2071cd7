"""A host of one's own: the test's thread moves into a new network namespace, so that bridges, rules and
sysctls of a test never meet the machine's."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from wherry.linux.namespaces import CLONE_NEWNET, setns, unshare
from wherry.linux.rtnetlink import Batch, Rtnetlink
from wherry.metadata.database import Database
from wherry.network import store
from wherry.network.controller import Attachment, NetworkController
from wherry.settings import Settings

HOST_ADDRESS, NEIGHBOUR_ADDRESS = "192.0.2.1", "192.0.2.2"


def _current() -> int:
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


@contextmanager
def entered(namespace: int) -> Iterator[None]:
    """Be in another network namespace for a while."""
    back = _current()
    setns(namespace, CLONE_NEWNET)
    try:
        yield
    finally:
        setns(back, CLONE_NEWNET)
        os.close(back)


def new_namespace() -> int:
    """A descriptor of a fresh namespace with lo up."""
    back = _current()
    unshare(CLONE_NEWNET)
    try:
        with Rtnetlink() as rtnetlink:
            batch = Batch()
            batch.set_up("lo")
            rtnetlink.apply(batch)
        return _current()
    finally:
        setns(back, CLONE_NEWNET)
        os.close(back)


@pytest.fixture
def host() -> Iterator[None]:
    """The test runs in a namespace that plays the host."""
    namespace = new_namespace()
    with entered(namespace):
        yield
    os.close(namespace)


@pytest.fixture
def neighbour(host: None) -> Iterator[int]:
    """Another host on the same link: 192.0.2.2, the test's host is 192.0.2.1."""
    namespace = new_namespace()
    with Rtnetlink() as rtnetlink:
        batch = Batch()
        batch.add_veth("uplink", "eth0", peer_namespace_fd=namespace, peer_mac="02:00:00:00:00:02", mtu=1500)
        batch.set_up("uplink")
        rtnetlink.apply(batch)
        batch = Batch()
        batch.add_address(rtnetlink.link("uplink").index, f"{HOST_ADDRESS}/24")
        rtnetlink.apply(batch)
    with entered(namespace), Rtnetlink() as rtnetlink:
        index = rtnetlink.link("eth0").index
        batch = Batch()
        batch.set_up("eth0")
        batch.add_address(index, f"{NEIGHBOUR_ADDRESS}/24")
        rtnetlink.apply(batch)
    yield namespace
    os.close(namespace)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_root=str(tmp_path), run_root=str(tmp_path), bridge="wherry0")


@pytest.fixture
def database(settings: Settings) -> Iterator[Database]:
    database = Database(f"{settings.data_root}/wherry.db", store.MIGRATIONS)
    yield database
    database.close()


@pytest.fixture
def controller(settings: Settings, database: Database) -> Iterator[NetworkController]:
    controller = NetworkController(settings, database)
    yield controller
    controller.close()


def make_container(attachment: Attachment) -> int:
    """The namespace that the monitor would make from the plan."""
    namespace = new_namespace()
    with Rtnetlink() as outside:
        for interface in attachment.plan["interfaces"]:
            batch = Batch()
            batch.add_veth(
                interface["host_name"], interface["name"], peer_namespace_fd=namespace,
                peer_mac=interface["mac"], mtu=interface["mtu"], master_index=interface["bridge_index"],
            )  # fmt: skip
            if interface["isolated"]:
                batch.set_isolated(interface["host_name"])
            batch.set_up(interface["host_name"])
            outside.apply(batch)
    with entered(namespace), Rtnetlink() as inside:
        for interface in attachment.plan["interfaces"]:
            index = inside.link(interface["name"]).index
            batch = Batch()
            batch.set_up(interface["name"])
            for address in interface["addresses"]:
                batch.add_address(index, address)
            for route in attachment.plan["routes"]:
                if route["interface"] == interface["name"]:
                    batch.add_route(route["destination"], gateway=route["gateway"], index=index)
            inside.apply(batch)
    with Rtnetlink() as outside:
        for interface in attachment.plan["interfaces"]:
            assert outside.wait_operational(interface["host_name"], interface["bridge"])
    return namespace


def listen(namespace: int, port: int, address: str = "0.0.0.0") -> socket.socket:
    """A TCP listener inside a namespace."""
    with entered(namespace):
        server = socket.create_server((address, port))
    server.settimeout(3)
    return server


def accepted_from(server: socket.socket) -> str:
    """The source address of the next connection."""
    connection, peer = server.accept()
    connection.close()
    return str(peer[0])


def reaches(namespace: int | None, address: str, port: int) -> bool:
    """Whether a TCP connection from a namespace (None: where the test is) is made within half a second."""
    if namespace is None:
        client = socket.socket()
    else:
        with entered(namespace):
            client = socket.socket()
    client.settimeout(0.5)
    try:
        with client:
            client.connect((address, port))
    except OSError:
        return False
    return True

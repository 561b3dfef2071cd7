"""The resolver and hosts files of a container."""

from wherry.network.resolv_conf import hosts_file, resolv_conf

HOST = "# comment\nnameserver 127.0.0.53\nnameserver 10.1.2.3\nsearch corp.example\noptions ndots:2\n"


def test_a_loopback_server_of_the_host_is_left_out() -> None:
    text = resolv_conf(HOST, servers=[], search=[], options=[])
    assert text.splitlines()[1:] == ["nameserver 10.1.2.3", "search corp.example", "options ndots:2"]


def test_with_only_loopback_servers_public_ones_serve() -> None:
    text = resolv_conf("nameserver ::1\n", servers=[], search=[], options=[])
    assert "nameserver 8.8.8.8\nnameserver 8.8.4.4\n" in text


def test_given_values_replace_the_hosts_each_on_its_own() -> None:
    text = resolv_conf(HOST, servers=["9.9.9.9"], search=["."], options=[])
    assert text.splitlines()[1:] == ["nameserver 9.9.9.9", "options ndots:2"]


def test_the_hosts_file_ends_with_the_containers_own_line() -> None:
    assert hosts_file([("172.17.0.2", "abc")]).splitlines()[-1] == "172.17.0.2\tabc"

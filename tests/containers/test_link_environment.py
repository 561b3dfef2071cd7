"""The variables of a link, those of moby 28's ``daemon/links``."""

from wherry.containers.link_environment import environment


def test_every_port_is_told_tcp_first_and_runs_as_ranges() -> None:
    told = environment("/web/my-db", "172.17.0.2", ["53/udp", "81/tcp", "80/tcp"], ["PATH=/bin", "X=a=b", "NONE"])
    assert told == [
        "MY_DB_PORT=tcp://172.17.0.2:80",
        "MY_DB_PORT_80_TCP=tcp://172.17.0.2:80",
        "MY_DB_PORT_80_TCP_ADDR=172.17.0.2",
        "MY_DB_PORT_80_TCP_PORT=80",
        "MY_DB_PORT_80_TCP_PROTO=tcp",
        "MY_DB_PORT_81_TCP=tcp://172.17.0.2:81",
        "MY_DB_PORT_81_TCP_ADDR=172.17.0.2",
        "MY_DB_PORT_81_TCP_PORT=81",
        "MY_DB_PORT_81_TCP_PROTO=tcp",
        "MY_DB_PORT_80_TCP_START=tcp://172.17.0.2:80",
        "MY_DB_PORT_80_TCP_PORT_START=80",
        "MY_DB_PORT_80_TCP_END=tcp://172.17.0.2:81",
        "MY_DB_PORT_80_TCP_PORT_END=81",
        "MY_DB_PORT_53_UDP=udp://172.17.0.2:53",
        "MY_DB_PORT_53_UDP_ADDR=172.17.0.2",
        "MY_DB_PORT_53_UDP_PORT=53",
        "MY_DB_PORT_53_UDP_PROTO=udp",
        "MY_DB_NAME=/web/my-db",
        "MY_DB_ENV_X=a=b",
    ]


def test_a_target_without_ports_has_a_name_alone() -> None:
    assert environment("/web/db", "10.0.0.2", [], []) == ["DB_NAME=/web/db"]

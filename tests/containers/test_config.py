"""Docker's JSON in and out."""

import msgspec
import pytest

from wherry.containers import inspect
from wherry.containers.config import ContainerConfig, HostConfig, argv, decode_create_request
from wherry.containers.wire import ZERO_TIME, timestamp_ns
from wherry.errors import InvalidParameter


def test_null_means_not_given_for_every_kind_of_member() -> None:
    request = decode_create_request(
        b'{"Image":"x","Tty":null,"Env":null,"Cmd":null,"Healthcheck":null,'
        b'"HostConfig":{"Memory":null,"Privileged":null,"RestartPolicy":{"Name":null},"Binds":null}}'
    )
    assert request.env is None
    assert request.host_config.memory == 0
    assert request.host_config.restart_policy.name == ""


def test_a_port_without_bindings_is_kept() -> None:
    request = decode_create_request(b'{"HostConfig":{"PortBindings":{"80/tcp":null}}}')
    assert request.host_config.port_bindings == {"80/tcp": None}


def test_a_command_may_be_one_string() -> None:
    assert argv(decode_create_request(b'{"Cmd":"sh"}').cmd) == ["sh"]


def test_unknown_members_are_ignored_and_wrong_types_are_named() -> None:
    decode_create_request(b'{"NoSuchMember":[1,2]}')
    with pytest.raises(InvalidParameter, match=r"HostConfig\.Memory"):
        decode_create_request(b'{"HostConfig":{"Memory":"much"}}')
    with pytest.raises(InvalidParameter):
        decode_create_request(b"{")


def test_spellings_that_are_not_pascal_case() -> None:
    wire = msgspec.to_builtins(HostConfig())
    for name in ("UTSMode", "BlkioDeviceReadIOps", "IOMaximumIOps", "ContainerIDFile", "CpusetCpus", "OomScoreAdj"):
        assert name in wire


def test_inspect_leaves_out_what_docker_leaves_out() -> None:
    shown = inspect.config(ContainerConfig(image="x"))
    assert "Healthcheck" not in shown
    assert "StopSignal" not in shown
    assert shown["Volumes"] is None
    host = inspect.host_config(HostConfig())
    assert "Init" not in host
    assert "Sysctls" not in host
    assert host["PortBindings"] == {}
    assert inspect.host_config(HostConfig(init=False))["Init"] is False


def test_times_are_gos() -> None:
    assert timestamp_ns(0) == ZERO_TIME
    assert timestamp_ns(1_700_000_000_120_000_000) == "2023-11-14T22:13:20.12Z"
    assert timestamp_ns(1_700_000_000_000_000_000) == "2023-11-14T22:13:20Z"

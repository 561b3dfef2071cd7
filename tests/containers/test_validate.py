"""Requests that make no sense, in dockerd's words."""

from typing import Any

import pytest

from wherry.containers import defaults, image_defaults, security_options, validate
from wherry.containers.config import (
    ContainerConfig,
    DeviceRequest,
    HealthConfig,
    HostConfig,
    LogConfig,
    PortBinding,
    RestartPolicy,
    Ulimit,
)
from wherry.containers.names import check_name, random_id, random_name
from wherry.containers.ports import exposed_ports, parse_port_bindings
from wherry.containers.signals import parse_signal
from wherry.containers.times import parse_time_ns
from wherry.errors import InvalidParameter
from wherry.oci.image_config import ContainerConfig as ImageDefaults
from wherry.settings import Settings


def check(host: HostConfig, config: ContainerConfig | None = None) -> list[str]:
    settings = Settings()
    defaults.fill(host, settings)
    return validate.check_host(host, config or ContainerConfig(), settings)


BAD_HOSTS: list[tuple[dict[str, Any], str]] = [
    ({"memory": 1 << 20}, "Minimum memory limit allowed is 6MB"),
    ({"memory": 8 << 20, "memory_swap": 7 << 20}, "Minimum memoryswap limit should be larger than memory limit"),
    ({"memory_swap": 8 << 20}, "You should always set the Memory limit when using Memoryswap limit"),
    ({"memory_swappiness": 101}, "valid memory swappiness range is 0-100"),
    ({"memory": 8 << 20, "memory_reservation": 9 << 20}, "Minimum memory limit can not be less than memory reserv"),
    ({"nano_cpus": 10**13}, "range of CPUs is from 0.01 to"),
    ({"nano_cpus": 10**9, "cpu_quota": 1000}, "Nano CPUs and CPU Quota cannot both be set"),
    ({"cpu_period": 10}, "CPU cfs period can not be less than 1ms"),
    ({"cpuset_cpus": "x"}, "Invalid value x for cpuset cpus"),
    ({"cpuset_cpus": "4000"}, "Requested CPUs are not available - requested 4000, available: "),
    ({"blkio_weight": 5}, "Range of blkio weight is from 10 to 1000"),
    ({"oom_score_adj": 1001}, r"range for oom score adj is \[-1000, 1000\]"),
    ({"shm_size": -1}, "SHM size can not be less than 0"),
    ({"restart_policy": RestartPolicy("often")}, "invalid restart policy: unknown policy 'often'"),
    ({"restart_policy": RestartPolicy("always", 3)}, "maximum retry count can only be used with 'on-failure'"),
    ({"auto_remove": True, "restart_policy": RestartPolicy("always")}, "can't create 'AutoRemove' container with re"),
    ({"runtime": "kata"}, "unknown or invalid runtime name: kata"),
    ({"log_config": LogConfig("splunky")}, "logger: no log driver named 'splunky' is registered"),
    ({"log_config": LogConfig("json-file", {"x": "y"})}, "unknown log opt 'x' for json-file log driver"),
    ({"ulimits": [Ulimit("nofile", 10, 20)]}, "ulimit soft limit must be less than or equal to hard limit: 20 > 10"),
    ({"ulimits": [Ulimit("files", 10, 10)]}, "invalid ulimit type: files"),
    ({"cap_add": ["NOSUCH"]}, 'unknown capability: "CAP_NOSUCH"'),
    ({"device_cgroup_rules": ["c x:y r"]}, "invalid device cgroup rule format: 'c x:y r'"),
    ({"device_requests": [DeviceRequest(capabilities=[["tpu"]])]}, 'could not select device driver "" with capabi'),
    ({"pid_mode": "nobody"}, "invalid PID mode: nobody"),
    ({"ipc_mode": "nobody"}, "invalid IPC mode: nobody"),
    ({"uts_mode": "nobody"}, "invalid UTS mode: nobody"),
    ({"network_mode": "container:"}, "invalid container format container:<name|id>"),
    ({"network_mode": "container:x", "dns": ["1.1.1.1"]}, "conflicting options: dns and the network mode"),
    ({"network_mode": "container:x", "publish_all_ports": True}, "port publishing and the container type network"),
    ({"network_mode": "host", "links": ["x"]}, "host type networking can't be used with links"),
    ({"network_mode": "host", "sysctls": {"net.a": "1"}}, 'sysctl "net.a" not allowed in host network namespace'),
    ({"dns": ["x"]}, "bad nameserver address x"),
    ({"dns_search": ["a\nnameserver 6.6.6.6"]}, "invalid DNS option"),
    ({"extra_hosts": ["x"]}, 'bad format for add-host: "x"'),
    ({"extra_hosts": ["x:y"]}, 'invalid IP address in add-host: "y"'),
    ({"extra_hosts": ["x y:1.2.3.4"]}, "bad format for add-host"),
    ({"port_bindings": {"99999/tcp": []}}, 'invalid port specification: "99999/tcp"'),
    ({"port_bindings": {"80/tcp": [PortBinding("x", "")]}}, "invalid IP address: x"),
    ({"isolation": "hyperv"}, "invalid isolation"),
    ({"storage_opt": {"size": "1G"}}, "--storage-opt is not supported"),
]


@pytest.mark.parametrize(("fields", "text"), BAD_HOSTS)
def test_a_bad_host_config_is_refused_with_dockers_text(fields: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        check(HostConfig(**fields))


BAD_CONFIGS: list[tuple[ContainerConfig, str]] = [
    (ContainerConfig(working_dir="x"), "the working directory 'x' is invalid, it needs to be an absolute path"),
    (ContainerConfig(env=["=x"]), "invalid environment variable: =x"),
    (ContainerConfig(cmd=["a\0b"]), "NUL byte"),
    (ContainerConfig(hostname="a b"), "invalid hostname format: a b"),
    (ContainerConfig(stop_signal="SIGNOPE"), "Invalid signal: SIGNOPE"),
    (ContainerConfig(exposed_ports={"80/icmp": {}}), "invalid proto: icmp"),
    (ContainerConfig(healthcheck=HealthConfig(interval=5)), "Interval in Healthcheck cannot be less than 1ms"),
    (ContainerConfig(healthcheck=HealthConfig(test=["RUN"])), "unknown type for health check: RUN"),
]


@pytest.mark.parametrize(("config", "text"), BAD_CONFIGS)
def test_a_bad_config_is_refused_with_dockers_text(config: ContainerConfig, text: str) -> None:
    with pytest.raises(InvalidParameter, match=text):
        validate.check_config(config)


@pytest.mark.parametrize("parent", ["../..", "a/../../b", "..", "a//b", "/a/./b", "a b", "a\n"])
def test_s44_a_cgroup_parent_that_could_leave_ours_is_refused(parent: str) -> None:
    with pytest.raises(InvalidParameter, match="invalid cgroup parent"):
        check(HostConfig(cgroup_parent=parent))


def test_defaults_are_dockerds() -> None:
    host = HostConfig(memory=8 << 20, cpu_shares=1, memory_swappiness=-1, pids_limit=0)
    assert check(host) == []
    assert host.memory_swap == 16 << 20
    assert host.cpu_shares == 2
    assert host.memory_swappiness is None
    assert host.pids_limit is None
    assert (host.network_mode, host.ipc_mode, host.cgroupns_mode) == ("bridge", "private", "private")
    assert "/proc/kcore" in (host.masked_paths or [])
    privileged = HostConfig(privileged=True)
    check(privileged)
    assert privileged.masked_paths == []


def test_published_ports_of_a_host_network_container_are_a_warning() -> None:
    warnings = check(HostConfig(network_mode="host", port_bindings={"80/tcp": [PortBinding("", "80")]}))
    assert warnings == ["Published ports are discarded when using host network mode"]


def test_names() -> None:
    assert check_name("/web-1") == "web-1"
    for name in ("a", "-x", "a b", "../x", "x/y", ""):
        with pytest.raises(InvalidParameter, match=r"only \[a-zA-Z0-9\]\[a-zA-Z0-9_\.-\] are allowed"):
            check_name(name)
    assert all(check_name(random_name()) for _ in range(200))
    assert not random_id()[:12].isdigit()


def test_signals() -> None:
    assert [parse_signal(text) for text in ("9", "KILL", "sigterm", "SIGRTMIN+3", "RTMAX-1")] == [9, 9, 15, 37, 63]
    for text in ("0", "65", "RTMIN-1", "RTMIN+99", "X"):
        with pytest.raises(InvalidParameter):
            parse_signal(text)


def test_port_ranges() -> None:
    bindings = parse_port_bindings({"80-81/udp": [PortBinding("127.0.0.1", "8080-8081")], "7/tcp": [PortBinding()]})
    assert [(b.container_port, b.protocol, b.host_ip, b.host_port) for b in bindings] == [
        (80, "udp", "127.0.0.1", 8080),
        (81, "udp", "127.0.0.1", 8081),
        (7, "tcp", "", 0),
    ]
    assert exposed_ports({"1-3": {}, "9/udp": {}}) == ["1/tcp", "2/tcp", "3/tcp", "9/udp"]
    with pytest.raises(InvalidParameter):
        parse_port_bindings({"80-81/tcp": [PortBinding("", "1-9")]})


def test_times_of_filters() -> None:
    now = 1_700_000_000 * 10**9
    assert parse_time_ns("1700000000.5", now) == now + 5 * 10**8
    assert parse_time_ns("1h30m", now) == now - 5400 * 10**9
    assert parse_time_ns("2023-11-14T22:13:20Z", now) == now
    assert parse_time_ns("2023-11-14", now) == 1_699_920_000 * 10**9
    with pytest.raises(InvalidParameter):
        parse_time_ns("soon", now)


def test_an_image_gives_what_the_request_leaves_open() -> None:
    config = ContainerConfig(env=["A=own"], labels={"x": "own"})
    image = ImageDefaults(
        env=("A=image", "B=image"), cmd=("run",), entrypoint=("/init",), labels={"x": "i", "y": "i"}, working_dir="/w",
        volumes={"/v": {}}, exposed_ports={"80/tcp": {}}, user="u",
    )  # fmt: skip
    image_defaults.merge(config, image)
    assert config.env == ["A=own", "B=image"]
    assert (config.entrypoint, config.cmd, config.working_dir, config.user) == (["/init"], ["run"], "/w", "u")
    assert config.labels == {"x": "own", "y": "i"}
    assert config.volumes == {"/v": {}}


def test_an_own_entrypoint_drops_the_images_command() -> None:
    image = ImageDefaults(cmd=("run",), entrypoint=("/init",))
    own = ContainerConfig(entrypoint=["/bin/sh"])
    image_defaults.merge(own, image)
    assert (own.entrypoint, own.cmd) == (["/bin/sh"], None)
    cleared = ContainerConfig(entrypoint=[""], cmd=["ls"])
    image_defaults.merge(cleared, image)
    assert (cleared.entrypoint, cleared.cmd) == (None, ["ls"])
    with pytest.raises(InvalidParameter, match=r"^no command specified$"):
        image_defaults.merge(ContainerConfig(), ImageDefaults())


def test_security_options() -> None:
    parsed = security_options.parse(["no-new-privileges", "seccomp=unconfined", "apparmor=x", "label:disable"])
    assert (parsed.no_new_privileges, parsed.seccomp, parsed.apparmor) == (True, "unconfined", "x")
    assert security_options.parse(["no-new-privileges:false"]).no_new_privileges is False
    for option in ("nonsense", "mode=insecure", "no-new-privileges:maybe"):
        with pytest.raises(InvalidParameter, match="invalid --security-opt"):
            security_options.parse([option])

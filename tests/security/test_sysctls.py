"""Kernel parameters: only those of the container's own namespaces (S43)."""

import pytest

from wherry.security import sysctls
from wherry.security.sysctls import InvalidSysctl

OWN = ("ipc", "network", "uts")


@pytest.mark.parametrize(
    "name",
    [
        "net.ipv4.ip_forward",
        "net/ipv4/ip_forward",
        "net.ipv4.conf.eth0/100.rp_filter",
        "net/ipv4/conf/eth0.100/rp_filter",
        "kernel.shmmax",
        "kernel/sem",
        "fs.mqueue.msg_max",
        "kernel.domainname",
        "kernel.hostname",
    ],
)
def test_what_is_namespaced_may_be_set(name: str) -> None:
    sysctls.validate({name: "1"}, OWN)


@pytest.mark.parametrize(
    "name",
    [
        "kernel.core_pattern",
        "kernel/core_pattern",
        "kernel.modprobe",
        "vm.overcommit_memory",
        "fs.file-max",
        "kernel.shm_next_id",
        "kernel.yama.ptrace_scope",
        "user.max_user_namespaces",
    ],
)
def test_s43_what_is_the_hosts_is_refused(name: str) -> None:
    with pytest.raises(InvalidSysctl, match="is not in a separate kernel namespace"):
        sysctls.validate({name: "1"}, OWN)


@pytest.mark.parametrize(
    "name",
    [
        "net/../kernel/core_pattern",
        "net.ipv4/../../kernel.core_pattern",
        "net..kernel.core_pattern",
        "net/./x",
        "/net/ipv4/ip_forward",
        "net.",
        ".net",
        "net",
        "",
        "net.ipv4.a+b\nkernel.core_pattern",
        "net.ipv4. x",
        "net.ipv4.x\0",
        "kernel.shmmax+kernel.core_pattern",
        "net//ipv4",
        "net.ipv4.conf...x",
        "net.ipv4.ünï",
    ],
)
def test_s43_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(InvalidSysctl):
        sysctls.validate({name: "1"}, OWN)


def test_s43_a_value_is_one_line() -> None:
    with pytest.raises(InvalidSysctl, match="more than one line"):
        sysctls.validate({"kernel.shmmax": "1\n2"}, OWN)


@pytest.mark.parametrize(
    ("name", "own", "message"),
    [
        ("kernel.shmmax", ("network",), 'sysctl "kernel.shmmax" is not allowed in the hosts ipc namespace'),
        ("fs.mqueue.msg_max", (), 'sysctl "fs.mqueue.msg_max" is not allowed in the hosts ipc namespace'),
        ("net/ipv4/tcp_rmem", ("ipc",), 'sysctl "net.ipv4.tcp_rmem" not allowed in host network namespace'),
        ("kernel.domainname", ("ipc",), 'sysctl "kernel.domainname" is not in a separate kernel namespace'),
    ],
)
def test_a_parameter_needs_its_namespace(name: str, own: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidSysctl) as caught:
        sysctls.validate({name: "1"}, own)
    assert str(caught.value) == message


def test_the_hostname_is_set_in_one_place() -> None:
    with pytest.raises(InvalidSysctl, match="conflicts with the OCI"):
        sysctls.validate({"kernel.hostname": "x"}, OWN, hostname=True)


def test_both_spellings_lead_to_the_same_path() -> None:
    parts = ["net", "ipv4", "conf", "eth0.100", "rp_filter"]
    assert sysctls.components("net.ipv4.conf.eth0/100.rp_filter") == parts
    assert sysctls.components("net/ipv4/conf/eth0.100/rp_filter") == parts
    assert sysctls.dotted("net/ipv4/conf/eth0.100/rp_filter") == "net.ipv4.conf.eth0/100.rp_filter"

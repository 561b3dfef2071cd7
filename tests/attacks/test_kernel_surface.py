"""S43, S44, S47-S50, S65-S67: system calls, capabilities, devices, resources."""

import re
import subprocess
import time

import docker
import docker.errors
import pytest

from tests.attacks.conftest import errnos
from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged

_EPERM, _ENOSYS, _EINVAL = 1, 38, 22


@pytest.mark.parametrize(
    "sysctl",
    ["kernel.core_pattern=|/x", "net/../kernel/core_pattern=x", "kernel.core_pattern +net.x=1", "vm.swappiness=1"],
)
def test_s43_only_namespaced_sysctls_are_set(engine: EngineUnderTest, tools: str, sysctl: str) -> None:
    """Past the checks of any command line, over the API."""
    name, _, value = sysctl.partition("=")
    client = docker.DockerClient(base_url=f"unix://{engine.socket}")
    try:
        with pytest.raises(docker.errors.APIError) as caught:
            client.containers.run(tools, "true", sysctls={name: value}, remove=True)
    finally:
        client.close()
    # Refused by us, not by a kernel that happens to protect the file.
    assert re.search("is not in a separate kernel namespace|invalid sysctl name", str(caught.value)), caught.value


@pytest.mark.parametrize("parent", ["../../..", "/../../etc", "../memory"])
def test_s44_a_cgroup_parent_stays_below_the_root(engine: EngineUnderTest, tools: str, parent: str) -> None:
    done = engine.wherry("run", "--rm", "--cgroup-parent", parent, tools, "true", check=False)
    assert done.returncode == 125
    assert "invalid cgroup parent" in done.stderr, done.stderr


def test_s47_every_thread_is_filtered(engine: EngineUnderTest, tools: str) -> None:
    done = engine.wherry(
        "run", "--rm", tools, "sh", "-c", "grep -h ^Seccomp: /proc/1/task/*/status /proc/self/status"
    )
    assert set(done.stdout.split("\n")) == {"Seccomp:\t2", ""}


def test_s48_other_architectures_of_the_cpu_are_filtered(engine: EngineUnderTest, tools: str) -> None:
    found = errnos(engine, tools, "x32-getpid", "i386-getpid")
    assert found["x32-getpid"] in (_EPERM, _ENOSYS)
    # i386 is in Docker's profile as a sub-architecture: getpid is allowed there, and filtered like any other.
    assert found["i386-getpid"] in (0, _ENOSYS)


def test_s49_calls_newer_than_the_profile_do_not_exist(engine: EngineUnderTest, tools: str) -> None:
    assert errnos(engine, tools, "clone3", "nr-9999") == {"clone3": _ENOSYS, "nr-9999": _ENOSYS}


def test_s50_capabilities_are_dockers(engine: EngineUnderTest, tools: str) -> None:
    shown = "grep ^Cap /proc/self/status"
    root = dict(line.split() for line in engine.wherry("run", "--rm", tools, "sh", "-c", shown).stdout.splitlines())
    default = "00000000a80425fb"
    assert root == {
        "CapInh:": "0" * 16,
        "CapPrm:": default,
        "CapEff:": default,
        "CapBnd:": default,
        "CapAmb:": "0" * 16,
    }
    user = dict(
        line.split()
        for line in engine.wherry("run", "--rm", "-u", "1000", tools, "sh", "-c", shown).stdout.splitlines()
    )
    assert user == {
        "CapInh:": "0" * 16,
        "CapPrm:": "0" * 16,
        "CapEff:": "0" * 16,
        "CapBnd:": default,
        "CapAmb:": "0" * 16,
    }


def test_s65_devices_are_the_exact_set(engine: EngineUnderTest, tools: str) -> None:
    listed = engine.wherry(
        "run", "--rm", tools, "sh", "-c", "cd /dev && find . -type c -o -type b | sort"
    ).stdout.split()
    assert set(listed) <= {
        "./full",
        "./null",
        "./random",
        "./tty",
        "./urandom",
        "./zero",
        "./ptmx",
        "./pts/ptmx",
        "./console",
    }
    assert {"./full", "./null", "./random", "./tty", "./urandom", "./zero"} <= set(listed)
    found = errnos(engine, tools, "mknod-disk", "mknod-mem", "mknod-fuse")
    assert found == {"mknod-disk": _EPERM, "mknod-mem": _EPERM, "mknod-fuse": _EPERM}


def test_s66_the_kernels_dangerous_calls_are_refused(engine: EngineUnderTest, tools: str) -> None:
    checks = ("io_uring_setup", "userfaultfd", "bpf", "perf_event_open", "unshare-user", "unshare-mount", "mount", "kexec_load",
              "af_alg", "af_vsock")  # fmt: skip
    found = errnos(engine, tools, *checks)
    assert all(number in (_EPERM, 97) for number in found.values()), found  # 97: EAFNOSUPPORT
    assert 0 not in found.values()


def test_s67_a_fork_bomb_stays_inside_its_limit(engine: EngineUnderTest, tools: str) -> None:
    bomb = "b() { b | b & }; b; sleep 3"
    bombing = engine.start("run", "--rm", "--name", "s67", "--pids-limit", "200", tools, "sh", "-c", bomb)
    time.sleep(1.5)
    begin = time.monotonic()
    subprocess.run(["ps", "-e"], capture_output=True, check=True, timeout=10)
    engine.wherry("ps")
    assert time.monotonic() - begin < 2
    engine.wherry("rm", "-f", "s67", check=False)
    bombing.communicate(timeout=20)


def test_s67_every_container_has_a_process_limit_by_default(engine: EngineUnderTest, tools: str) -> None:
    done = engine.wherry(
        "run",
        "--rm",
        tools,
        "sh",
        "-c",
        "cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max 2>/dev/null",
        check=False,
    )
    assert done.stdout.split() == ["2048"]


def test_s67_a_log_is_bounded(engine: EngineUnderTest, tools: str) -> None:
    engine.wherry(
        "run", "-d", "--name", "chatty", "--log-opt", "max-size=1m", "--log-opt", "max-file=2", tools, "yes"
    )
    time.sleep(3)
    engine.wherry("kill", "chatty")
    size = sum(path.stat().st_size for path in engine.data_root.glob("containers/*/*.log*"))
    engine.wherry("rm", "-f", "chatty")
    assert 0 < size <= 3 << 20

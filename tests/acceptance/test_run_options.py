"""Every option of ``run`` that the first release promises, seen from inside the container or in inspect."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.engine_under_test import EngineUnderTest

pytestmark = pytest.mark.privileged


def _out(engine: EngineUnderTest, *arguments: str) -> str:
    return engine.wherry("run", "--rm", *arguments).stdout


def _inspect(engine: EngineUnderTest, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(engine.wherry("inspect", name).stdout)[0]
    return found


def test_environment_working_directory_user_and_hostname(engine: EngineUnderTest) -> None:
    script = "echo $A; pwd; id -u; id -g; hostname"
    out = _out(
        engine, "-e", "A=b c", "-w", "/made/for/me", "-u", "12:34", "--hostname", "box", "busybox", "sh", "-c", script
    )
    assert out.splitlines() == ["b c", "/made/for/me", "12", "34", "box"]


def test_standard_input_is_passed_and_its_end_too(engine: EngineUnderTest) -> None:
    done = engine.wherry("run", "--rm", "-i", "busybox", "wc", "-c", stdin=b"x" * 300_000)
    assert done.stdout.strip() == "300000"


def test_standard_error_stays_apart(engine: EngineUnderTest) -> None:
    done = engine.wherry("run", "--rm", "busybox", "sh", "-c", "echo out; echo err >&2; exit 3", check=False)
    assert (done.stdout, done.stderr, done.returncode) == ("out\n", "err\n", 3)


def test_binds_volumes_and_tmpfs(engine: EngineUnderTest, tmp_path: Path) -> None:
    (tmp_path / "given").write_text("from the host")
    options = ("-v", f"{tmp_path}:/rw", "-v", f"{tmp_path}:/ro:ro", "-v", "named:/named", "--tmpfs", "/scratch:size=1m",
               "--mount", f"type=bind,source={tmp_path},target=/mounted,readonly")  # fmt: skip
    script = "cat /rw/given /mounted/given; echo x > /rw/new; echo y > /named/kept; touch /ro/z; touch /mounted/z; df /scratch | tail -1"
    done = engine.wherry("run", "--rm", *options, "busybox", "sh", "-c", script)
    assert done.stdout.startswith("from the hostfrom the host")
    assert done.stderr.count("Read-only file system") == 2
    assert " 1024 " in done.stdout
    assert (tmp_path / "new").read_text() == "x\n"
    assert _out(engine, "-v", "named:/named", "busybox", "cat", "/named/kept") == "y\n"
    engine.wherry("volume", "rm", "named")


def test_limits_reach_the_cgroup_and_inspect(engine: EngineUnderTest) -> None:
    options = ("--memory", "64m", "--cpus", "0.5", "--pids-limit", "50")
    engine.wherry("run", "-d", "--name", "limited", *options, "busybox", "sleep", "1000")
    host = _inspect(engine, "limited")["HostConfig"]
    assert (host["Memory"], host["NanoCpus"], host["PidsLimit"]) == (64 << 20, 500_000_000, 50)
    script = (
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/pids/pids.max "
        "|| cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/cpu.max /sys/fs/cgroup/pids.max"
    )
    values = engine.wherry("exec", "limited", "sh", "-c", script).stdout.split()
    engine.wherry("rm", "-f", "limited")
    assert values[:3] == [str(64 << 20), "50000", "50"]


def test_a_container_over_its_memory_is_killed_and_says_so(engine: EngineUnderTest) -> None:
    done = engine.wherry("run", "--name", "greedy", "--memory", "16m", "--memory-swap", "16m", "busybox",
                         "sh", "-c", "x=a; while true; do x=$x$x; done", check=False)  # fmt: skip
    state = _inspect(engine, "greedy")["State"]
    engine.wherry("rm", "greedy")
    assert done.returncode == 137
    assert state["OOMKilled"] is True


def test_capabilities_privileged_and_read_only(engine: EngineUnderTest) -> None:
    shown = ("sh", "-c", "grep ^CapEff /proc/self/status | cut -f2")
    assert (
        _out(engine, "--cap-drop", "ALL", "--cap-add", "NET_ADMIN", "busybox", *shown).strip() == "0000000000001000"
    )
    with open("/proc/self/status", encoding="ascii") as file:
        all_capabilities = next(line.split()[1] for line in file if line.startswith("CapBnd"))
    assert _out(engine, "--privileged", "busybox", *shown).strip() == all_capabilities
    done = engine.wherry("run", "--rm", "--read-only", "busybox", "touch", "/x", check=False)
    assert "Read-only file system" in done.stderr


def test_ulimits_sysctls_and_devices(engine: EngineUnderTest) -> None:
    options = (
        "--ulimit",
        "nofile=100:200",
        "--sysctl",
        "net.ipv4.ip_default_ttl=33",
        "--device",
        "/dev/loop-control:/dev/lc:r",
    )
    if not Path("/dev/loop-control").exists():
        options = (*options[:4], "--device", "/dev/null:/dev/lc:r")
    script = "ulimit -Sn; ulimit -Hn; cat /proc/sys/net/ipv4/ip_default_ttl; test -c /dev/lc && echo device"
    assert _out(engine, *options, "busybox", "sh", "-c", script).split() == ["100", "200", "33", "device"]


def test_networks_none_host_and_bridge(engine: EngineUnderTest) -> None:
    links = ("sh", "-c", "ls /sys/class/net")
    assert _out(engine, "--network", "none", "busybox", *links).split() == ["lo"]
    assert set(_out(engine, "--network", "host", "busybox", *links).split()) == {
        name.name for name in Path("/sys/class/net").iterdir()
    }
    script = "ip -4 address show eth0 | grep inet; ip route; cat /etc/hosts /etc/resolv.conf"
    out = _out(engine, "--network", "bridge", "--hostname", "me", "busybox", "sh", "-c", script)
    address = out.split()[1].partition("/")[0]
    assert f"{address}\tme" in out
    assert "default via" in out
    assert "nameserver" in out


def test_entrypoint_and_the_images_own_command(engine: EngineUnderTest) -> None:
    assert _out(engine, "--entrypoint", "echo", "busybox", "a", "b") == "a b\n"


def test_init_reaps_and_forwards_signals(engine: EngineUnderTest) -> None:
    engine.wherry("run", "-d", "--name", "inited", "--init", "busybox", "sh", "-c",
                  "trap 'echo got; exit 5' TERM; (sleep 0.1 &); while true; do sleep 0.1; done")  # fmt: skip
    time.sleep(0.7)
    processes = engine.wherry("exec", "inited", "ps", "-o", "pid,stat").stdout
    engine.wherry("stop", "-t", "5", "inited")
    state = _inspect(engine, "inited")["State"]
    logs = engine.wherry("logs", "inited").stdout
    engine.wherry("rm", "inited")
    assert "Z" not in processes
    assert state["ExitCode"] == 5
    assert logs == "got\n"


def test_restart_on_failure_counts_and_gives_up(engine: EngineUnderTest) -> None:
    engine.wherry(
        "run", "-d", "--name", "again", "--restart", "on-failure:2", "busybox", "sh", "-c", "echo once; exit 1"
    )
    deadline = time.monotonic() + 15
    while _inspect(engine, "again")["State"]["Status"] != "exited":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    found = _inspect(engine, "again")
    logs = engine.wherry("logs", "again").stdout
    engine.wherry("rm", "again")
    assert found["RestartCount"] == 2
    assert logs == "once\n" * 3


def test_stop_signal_and_stop_time_out(engine: EngineUnderTest) -> None:
    engine.wherry("run", "-d", "--name", "polite", "--stop-signal", "USR1", "busybox", "sh", "-c",
                  "trap 'exit 7' USR1; while true; do sleep 0.05; done")  # fmt: skip
    time.sleep(0.2)
    engine.wherry("stop", "polite")
    code = _inspect(engine, "polite")["State"]["ExitCode"]
    engine.wherry("rm", "polite")
    assert code == 7
    engine.wherry(
        "run", "-d", "--name", "deaf", "busybox", "sh", "-c", "trap '' TERM; while true; do sleep 0.05; done"
    )
    begin = time.monotonic()
    engine.wherry("stop", "-t", "1", "deaf")
    elapsed = time.monotonic() - begin
    code = _inspect(engine, "deaf")["State"]["ExitCode"]
    engine.wherry("rm", "deaf")
    assert code == 137
    assert 0.9 < elapsed < 4


def test_namespaces_of_the_host(engine: EngineUnderTest) -> None:
    import os

    for option, kind in (("--pid", "pid"), ("--ipc", "ipc"), ("--uts", "uts"), ("--cgroupns", "cgroup")):
        inside = _out(engine, option, "host", "busybox", "readlink", f"/proc/self/ns/{kind}").strip()
        assert inside == os.readlink(f"/proc/self/ns/{kind}"), option
        own = _out(engine, "busybox", "readlink", f"/proc/self/ns/{kind}").strip()
        assert own != inside


def test_security_options(engine: EngineUnderTest) -> None:
    shown = ("sh", "-c", "grep -E '^(NoNewPrivs|Seccomp):' /proc/self/status | cut -f2")
    assert _out(engine, "--security-opt", "no-new-privileges", "busybox", *shown).split() == ["1", "2"]
    assert _out(engine, "--security-opt", "seccomp=unconfined", "busybox", *shown).split() == ["0", "0"]


def test_a_seccomp_profile_of_ones_own(engine: EngineUnderTest, tmp_path: Path) -> None:
    profile = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO"}],
    }
    path = tmp_path / "profile.json"
    path.write_text(json.dumps(profile))
    done = engine.wherry("run", "--rm", "--security-opt", f"seccomp={path}", "busybox", "mkdir", "/x", check=False)
    assert "Operation not permitted" in done.stderr


def test_log_options(engine: EngineUnderTest) -> None:
    engine.wherry(
        "run", "--name", "logged", "--log-opt", "max-size=20k", "--log-opt", "max-file=3", "busybox", "seq", "5000"
    )
    lines = engine.wherry("logs", "logged").stdout.split()
    sizes = [path.stat().st_size for path in engine.data_root.glob("containers/*/*.log*")]
    engine.wherry("rm", "logged")
    assert lines[-1] == "5000"
    assert lines == [str(number) for number in range(5001 - len(lines), 5001)]
    assert sum(sizes) < 64_000


def test_published_ports_reach_the_container_from_the_host(engine: EngineUnderTest) -> None:
    import socket

    engine.wherry("run", "-d", "--name", "web", "-p", "127.0.0.1:0:8000", "busybox", "sh", "-c",
                  "while true; do echo served | nc -l -p 8000; done")  # fmt: skip
    port = int(engine.wherry("port", "web", "8000").stdout.strip().rpartition(":")[2])
    data = b""
    deadline = time.monotonic() + 5
    while not data and time.monotonic() < deadline:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as client:
            client.settimeout(2)
            try:
                data = client.recv(100)
            except OSError:
                pass  # nc was not listening yet
    engine.wherry("rm", "-f", "web")
    assert data == b"served\n"


def test_changes_live_until_the_container_is_removed(engine: EngineUnderTest) -> None:
    engine.wherry("run", "--name", "keeps", "busybox", "sh", "-c", "cat /mark 2>/dev/null; echo here > /mark")
    assert engine.wherry("start", "-a", "keeps").stdout == "here\n"
    engine.wherry("rm", "keeps")
    engine.wherry(
        "run", "--name", "forgets", "--ephemeral", "busybox", "sh", "-c", "cat /mark 2>/dev/null; echo here > /mark"
    )
    assert engine.wherry("start", "-a", "forgets").stdout == ""
    engine.wherry("rm", "forgets")


def test_a_foreign_runtime_by_name(make_engine: Any) -> None:
    import shutil

    engine = make_engine({"runtimes": {"runc": {"path": shutil.which("runc")}}})
    assert engine.wherry("run", "--rm", "--runtime", "runc", "busybox", "echo", "by runc").stdout == "by runc\n"
    done = engine.wherry("run", "--rm", "--runtime", "nosuch", "busybox", "true", check=False)
    assert done.returncode == 125
    assert "nosuch" in done.stderr

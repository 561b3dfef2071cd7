"""What a process may do: capabilities, seccomp, limits, masked paths, devices, identity."""

import json
import os
import resource
import socket
import subprocess
from typing import Any

import pytest

from tests.runtime.container import CAPABILITIES, Runner, Spec, base_spec, shell
from wherry.linux import capabilities
from wherry.runtime.failure import RuntimeFailure, SpecInvalid
from wherry.security.seccomp_profile import default_profile
from wherry.security.sysctls import InvalidSysctl

pytestmark = pytest.mark.privileged


def _status(text: str) -> dict[str, str]:
    return {name: value.strip() for name, _, value in (line.partition(":") for line in text.splitlines())}


def test_s50_only_the_granted_capabilities_are_there(runner: Runner) -> None:
    status = _status(runner.run(base_spec("cat", "/proc/self/status")).output)
    granted = f"{capabilities.mask(CAPABILITIES):016x}"
    assert granted.endswith("a80425fb")
    assert status["CapPrm"] == status["CapEff"] == status["CapBnd"] == granted
    assert status["CapInh"] == status["CapAmb"] == "0" * 16


def test_s50_another_user_has_no_effective_capabilities(runner: Runner) -> None:
    spec = base_spec("cat", "/proc/self/status")
    spec["process"]["user"] = {"uid": 1000, "gid": 1000, "additionalGids": [1000, 44]}
    status = _status(runner.run(spec).output)
    assert status["CapEff"] == status["CapPrm"] == "0" * 16
    assert status["CapBnd"].endswith("a80425fb")
    assert status["Uid"].split() == ["1000"] * 4
    assert status["Gid"].split() == ["1000"] * 4
    assert status["Groups"].split() == ["44", "1000"]


def test_ambient_capabilities_survive_for_another_user(runner: Runner) -> None:
    spec = base_spec("grep", "CapEff", "/proc/self/status")
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    names = ["CAP_NET_BIND_SERVICE"]
    spec["process"]["capabilities"] = dict.fromkeys(
        ("bounding", "effective", "permitted", "inheritable", "ambient"), names
    )
    assert runner.run(spec).output.split()[1] == f"{capabilities.mask(names):016x}"


def test_without_capabilities_there_are_none(runner: Runner) -> None:
    spec = base_spec("grep", "Cap", "/proc/self/status")
    del spec["process"]["capabilities"]
    assert {line.split()[1] for line in runner.run(spec).lines} == {"0" * 16}


def test_a_capability_that_is_not_held_is_a_warning(runner: Runner) -> None:
    spec = base_spec("true")
    for names in spec["process"]["capabilities"].values():
        names += ["CAP_FROM_THE_FUTURE"]
    result = runner.run(spec)
    assert result.status == 0
    assert "CAP_FROM_THE_FUTURE" in result.warnings[0]


@pytest.mark.parametrize("no_new_privileges", [False, True])
def test_s47_the_filter_is_on_every_thread(runner: Runner, no_new_privileges: bool) -> None:
    spec = shell("cat /proc/1/task/*/status | grep -E 'Seccomp:|NoNewPrivs'; unshare -m true")
    spec["process"]["noNewPrivileges"] = no_new_privileges
    spec["linux"]["seccomp"] = default_profile(CAPABILITIES)
    result = runner.run(spec)
    assert [line.split() for line in result.lines[:2]] == [
        ["NoNewPrivs:", str(int(no_new_privileges))],
        ["Seccomp:", "2"],
    ]
    assert "Operation not permitted" in result.output


def test_with_no_new_privs_a_filter_needs_to_allow_only_the_program(runner: Runner) -> None:
    """The filter comes after everything that the runtime itself calls."""
    spec = base_spec("true")
    spec["process"]["noNewPrivileges"] = True
    denied = ["setgroups", "setresuid", "setresgid", "capset", "chdir", "getcwd", "recvfrom", "sendmsg", "dup2"]
    spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": denied, "action": "SCMP_ACT_KILL_PROCESS"}],
    }
    assert runner.run(spec).status == 0


def test_a_notify_profile_gives_the_listener_to_the_agent(runner: Runner, tmp_path: object) -> None:
    path = f"{tmp_path}/agent.sock"
    spec = base_spec("true")
    spec["linux"]["seccomp"] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "listenerPath": path,
        "listenerMetadata": "meta",
        "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_NOTIFY"}],
    }
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen(2)
        for no_new_privileges in (True, False):
            spec["process"]["noNewPrivileges"] = no_new_privileges
            running = runner.create(spec)
            connection, _ = listener.accept()
            with connection:
                message, fds, _, _ = socket.recv_fds(connection, 65536, 1)
            assert os.readlink(f"/proc/self/fd/{fds[0]}") == "anon_inode:seccomp notify"
            os.close(fds[0])
            told = json.loads(message)
            assert (told["pid"], told["metadata"], told["fds"]) == (running.created.pid, "meta", ["seccompFd"])
            assert told["state"]["bundle"] == runner.bundle


def test_s51_the_session_keyring_is_a_new_one(runner: Runner) -> None:
    def session_keyring(pid: int) -> set[str]:
        with open("/proc/keys", encoding="ascii") as file:
            return {line.split()[0] for line in file if "_ses." in line}

    before = session_keyring(0)
    running = runner.start(base_spec("sleep", "60"))
    with open("/proc/keys", encoding="ascii") as file:
        named = [line for line in file if f"_ses.{running.container_id}" in line]
    assert len(named) == 1
    assert named[0].split()[0] not in before


def test_s63_masked_paths_are_empty_and_stay(runner: Runner) -> None:
    result = runner.sh(
        "wc -c < /proc/timer_list; wc -c < /proc/keys; ls /proc/acpi /sys/firmware | grep -vc '^/\\|^$';"
        "touch /proc/acpi/x; umount /proc/keys; chmod 600 /proc/keys"
    )
    assert result.lines[:3] == ["0", "0", "0"]
    assert "Read-only file system" in result.output
    assert result.output.count("can't unmount") == 1
    assert "chmod: /proc/keys: Read-only file system" in result.output


def test_s64_read_only_paths_refuse_writes(runner: Runner) -> None:
    result = runner.sh("for f in /proc/sys/kernel/panic /proc/sys/vm/swappiness /sys/x; do echo 0 > $f; done")
    assert result.output.count("Read-only file system") == 3


def test_s39_a_fake_null_device_masks_nothing(runner: Runner, tmp_path: object) -> None:
    """CVE-2025-31133: the image puts a link at /dev/null in a volume on /dev."""
    volume = f"{tmp_path}/dev"
    os.mkdir(volume)
    os.symlink("/proc/sys/kernel/core_pattern", f"{volume}/null")
    spec = shell("wc -c < /proc/keys; readlink /dev/null")
    spec["mounts"] = [entry for entry in spec["mounts"] if not entry["destination"].startswith("/dev")]
    spec["mounts"].insert(1, {"destination": "/dev", "type": "bind", "source": volume, "options": ["rbind"]})
    assert runner.run(spec).lines == ["0", "/proc/sys/kernel/core_pattern"]


def test_s39_a_wrong_node_at_a_devices_place_is_refused(runner: Runner) -> None:
    os.mkdir(f"{runner.rootfs}/dev")
    os.symlink("/etc/passwd", f"{runner.rootfs}/dev/null")
    spec = base_spec("true")
    spec["mounts"] = [entry for entry in spec["mounts"] if not entry["destination"].startswith("/dev")]
    with pytest.raises(RuntimeFailure, match="mknod /dev/null"):
        runner.run(spec)


def test_s65_only_the_listed_devices_can_be_opened(runner: Runner) -> None:
    result = runner.sh(
        "ls /dev | tr '\\n' ' '; echo; for d in 'b 8 0' 'c 1 1' 'c 10 229'; do mknod /tmp/d $d && dd if=/tmp/d"
        " of=/dev/null count=1 2>&1 | grep -c 'not permitted'; rm -f /tmp/d; done; head -c1 /dev/zero | wc -c"
    )
    assert set(result.lines[0].split()) == {
        "core", "fd", "full", "mqueue", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
        "urandom", "zero",
    } - (set() if os.path.exists("/proc/kcore") else {"core"})  # fmt: skip
    assert result.lines[1:] == ["1", "1", "1", "1"]


def test_a_requested_device_has_its_number_mode_and_owner(runner: Runner) -> None:
    spec = shell("stat -c '%F %t %T %a %u %g' /dev/deep/fuse; head -c1 /dev/deep/fuse 2>&1 | grep -c 'not permitted'")
    device: dict[str, Any] = {"type": "c", "major": 10, "minor": 229}
    spec["linux"]["devices"] = [{**device, "path": "/dev/deep/fuse", "fileMode": 0o640, "uid": 5, "gid": 6}]
    spec["linux"]["resources"]["devices"].append({**device, "allow": True, "access": "rwm"})
    assert runner.run(spec).lines == ["character special file a e5 640 5 6", "0"]


@pytest.mark.parametrize(
    "name", ["kernel.core_pattern", "net/../kernel/core_pattern", "net.ipv4.x\n.y", "vm.swappiness", "kernel.panic"]
)
def test_s43_a_sysctl_of_the_host_is_refused(runner: Runner, name: str) -> None:
    spec = base_spec("true")
    spec["linux"]["sysctl"] = {name: "1"}
    with pytest.raises(InvalidSysctl):
        runner.run(spec)


def test_s43_a_network_sysctl_needs_a_network_namespace(runner: Runner) -> None:
    spec = base_spec("true")
    spec["linux"]["namespaces"] = [e for e in spec["linux"]["namespaces"] if e["type"] != "network"]
    spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1"}
    with pytest.raises(InvalidSysctl):
        runner.run(spec)


def test_s43_a_joined_namespace_that_is_the_hosts_is_not_the_containers_own(runner: Runner) -> None:
    """runc: "not allowed in host network namespace"; a path does not make a namespace the container's."""
    spec = base_spec("true")
    for entry in spec["linux"]["namespaces"]:
        if entry["type"] == "network":
            entry["path"] = "/proc/self/ns/net"
    spec["linux"]["sysctl"] = {"net.ipv4.conf.all.log_martians": "1"}
    with pytest.raises(InvalidSysctl, match="host network namespace"):
        runner.run(spec)


def test_namespaced_sysctls_are_set(runner: Runner) -> None:
    spec = shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/msgmax")
    spec["linux"]["sysctl"] = {"net.ipv4.ip_unprivileged_port_start": "0", "kernel.msgmax": "12345"}
    assert runner.run(spec).lines == ["0", "12345"]


def test_rlimits_are_set(runner: Runner) -> None:
    spec = shell("ulimit -Sn; ulimit -Hn; ulimit -c")
    spec["process"]["rlimits"] = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_CORE", "soft": 0, "hard": 0},
    ]
    assert runner.run(spec).lines == ["100", "200", "0"]


def test_an_rlimit_above_the_ceiling_is_lowered_with_a_warning(runner: Runner) -> None:
    ceiling = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    spec = shell("ulimit -Hn")
    spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": ceiling + 1, "hard": ceiling + 1}]
    result = runner.run(spec)
    if capabilities.capget()[0] >> capabilities.NUMBERS["CAP_SYS_RESOURCE"] & 1:
        assert result.output.strip() == str(ceiling + 1)
    else:
        assert result.output.strip() == str(ceiling)
        assert "CAP_SYS_RESOURCE" in result.warnings[0]


def test_unknown_and_doubled_rlimits_are_refused(runner: Runner) -> None:
    for kinds in (["RLIMIT_NONSENSE"], ["RLIMIT_CPU", "RLIMIT_CPU"]):
        spec = base_spec("true")
        spec["process"]["rlimits"] = [{"type": kind, "soft": 1, "hard": 1} for kind in kinds]
        with pytest.raises(SpecInvalid):
            runner.run(spec)


def test_oom_score_umask_scheduling_and_affinity_are_set(runner: Runner) -> None:
    spec = shell("umask; exec sleep 60")
    spec["process"]["oomScoreAdj"] = 321
    spec["process"]["user"]["umask"] = 0o27
    spec["process"]["scheduler"] = {"policy": "SCHED_BATCH", "nice": 5}
    spec["process"]["ioPriority"] = {"class": "IOPRIO_CLASS_IDLE", "priority": 4}
    spec["process"]["execCPUAffinity"] = {"final": "0"}
    running = runner.start(spec)
    pid = running.created.pid
    assert os.read(running.output_fd, 100) == b"0027\n"
    with open(f"/proc/{pid}/oom_score_adj", encoding="ascii") as file:
        assert file.read() == "321\n"
    assert os.sched_getscheduler(pid) == os.SCHED_BATCH
    assert os.getpriority(os.PRIO_PROCESS, pid) == 5
    assert os.sched_getaffinity(pid) == {0}
    said = subprocess.run(["ionice", "-p", str(pid)], check=True, capture_output=True, text=True).stdout
    assert said.startswith("idle")


def test_personality_changes_what_uname_says(runner: Runner) -> None:
    spec = base_spec("uname", "-m")
    spec["linux"]["personality"] = {"domain": "LINUX32"}
    expected = {"x86_64": "i686", "aarch64": "armv8l"}.get(os.uname().machine, os.uname().machine)
    assert runner.run(spec).output.strip() == expected


def test_home_comes_from_the_containers_passwd(runner: Runner) -> None:
    spec = shell("echo $HOME")
    spec["process"]["user"] = {"uid": 1000, "gid": 1000}
    assert runner.run(spec).output.strip() == "/home/alice"


def test_s60_the_environment_is_only_the_specs(runner: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENGINE_CANARY", "secret")
    result = runner.run(base_spec("cat", "/proc/1/environ"))
    assert sorted(result.output.rstrip("\0").split("\0")) == ["HOME=/root", "PATH=/bin"]


def test_an_apparmor_profile_without_apparmor_is_refused(runner: Runner) -> None:
    if os.path.exists("/sys/module/apparmor/parameters/enabled"):
        pytest.skip("this kernel has AppArmor")
    spec: Spec = base_spec("true")
    spec["process"]["apparmorProfile"] = "docker-default"
    with pytest.raises(RuntimeFailure, match="apparmor is not enabled"):
        runner.run(spec)


def test_a_limit_of_few_descriptors_does_not_keep_a_container_from_starting(runner: Runner) -> None:
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(60)]
    spec = shell("ulimit -n")
    spec["process"]["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 12, "hard": 12}]
    try:
        assert runner.run(spec).lines == ["12"]
        running = runner.start(base_spec("sleep", "100"))
        assert running.execute("sh", "-c", "ulimit -n", rlimits=spec["process"]["rlimits"]).lines == ["12"]
    finally:
        for fd in held:
            os.close(fd)

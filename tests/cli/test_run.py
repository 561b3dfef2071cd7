import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.cli.engine_with_containers import ContainerEngine
from tests.client.fake_engine import FakeEngine, Handler, Request

Serve = Callable[[Handler], FakeEngine]
ID = "c0ffee" + "0" * 58
OUT_AND_ERR = b"\x01\0\0\0\0\0\0\x04out\n\x02\0\0\0\0\0\0\x04err\n"


def test_run_prints_both_streams_and_leaves_with_the_containers_code(serve: Serve, wherry: Run) -> None:
    engine = ContainerEngine(output=OUT_AND_ERR, code=3)
    outcome = wherry("-H", serve(engine).host, "run", "--rm", "busybox", "x")
    assert (outcome.code, outcome.stdout, outcome.stderr) == (3, "out\n", "WARNING: old kernel\nerr\n")
    assert set(engine.verbs[1:3]) == {"attach", "wait"} and engine.verbs[3] == "start"


def test_a_missing_image_is_pulled_with_its_progress_on_stderr(serve: Serve, wherry: Run) -> None:
    engine = ContainerEngine(image_present=False)
    outcome = wherry("-H", serve(engine).host, "run", "-d", "busybox")
    assert outcome.stdout == f"{ID}\n"
    assert outcome.stderr.startswith(
        "Unable to find image 'busybox:latest' locally\nlatest: Pulling from library/busybox\n"
    )
    assert engine.verbs == ["create", "create", "create", "start"]


def test_pull_never_leaves_a_missing_image_missing(serve: Serve, wherry: Run) -> None:
    engine = ContainerEngine(image_present=False)
    outcome = wherry("-H", serve(engine).host, "run", "--pull", "never", "busybox")
    assert outcome.code == 125 and engine.verbs == ["create"]
    assert outcome.stderr == (
        "wherry: Error response from daemon: No such image: busybox:latest\n\n"
        "Run 'wherry run --help' for more information\n"
    )


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ('exec: "x": executable file not found in $PATH: unknown', 127),
        ('exec: "/x": stat /x: no such file or directory: unknown', 127),
        ('exec: "/etc": permission denied: unknown', 126),
        ('exec: "/etc": is a directory: unknown', 126),
        ("driver failed programming external connectivity", 125),
    ],
)
def test_a_start_that_fails_has_dockers_exit_code(serve: Serve, wherry: Run, message: str, code: int) -> None:
    for options in (["--rm"], ["-d"]):
        engine = ContainerEngine(start_error=message)
        outcome = wherry("-H", serve(engine).host, "run", *options, "busybox", "x")
        assert outcome.code == code
        assert f"wherry: Error response from daemon: {message}\n" in outcome.stderr


def test_the_exit_code_survives_an_engine_that_goes_away(serve: Serve, wherry: Run) -> None:
    engine = ContainerEngine(output=OUT_AND_ERR, code=9, drop_waits=2)
    outcome = wherry("-H", serve(engine).host, "run", "busybox")
    assert outcome.code == 9 and outcome.stdout == "out\n"
    assert engine.verbs.count("wait") == 3


def test_the_exit_is_asked_for_again_while_the_container_runs(serve: Serve, wherry: Run) -> None:
    """With ``--rm`` a later question finds nothing: the engine was killed and has swept the container."""
    engine = ContainerEngine(output=OUT_AND_ERR, code=6, forgetful=True)
    outcome = wherry("-H", serve(engine).host, "run", "--rm", "busybox")
    assert outcome.code == 6 and outcome.stdout == "out\n"


def test_everything_typed_reaches_the_container_and_its_end_too(serve: Serve, tmp_path: Path) -> None:
    source = tmp_path / "typed"
    source.write_bytes(os.urandom(3_000_000))
    engine = serve(ContainerEngine(echo=True))
    with source.open("rb") as typed:
        answer = subprocess.run(
            [sys.executable, "-c", "from wherry.cli.main import main; main()", "-H", engine.host, "run", "-i", "busybox"],
            stdin=typed, capture_output=True, timeout=30,
        )  # fmt: skip
    assert answer.returncode == 0 and answer.stdout == source.read_bytes()


def test_a_signal_goes_to_the_container(serve: Serve) -> None:
    engine = ContainerEngine(echo=True)
    process = subprocess.Popen(
        [sys.executable, "-c", "from wherry.cli.main import main; main()", "-H", serve(engine).host, "run", "-i", "busybox"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdin is not None
    deadline = time.monotonic() + 10
    while "start" not in engine.verbs and time.monotonic() < deadline:
        time.sleep(0.01)
    for number in (signal.SIGTERM, signal.SIGUSR1):
        process.send_signal(number)
        while f"signal={number.value}" not in engine.killed and time.monotonic() < deadline:
            time.sleep(0.01)
    process.stdin.close()
    assert process.wait(10) == 0
    assert process.stdout is not None
    process.stdout.close()
    assert engine.killed == [f"signal={signal.SIGTERM.value}", f"signal={signal.SIGUSR1.value}"]


def test_the_third_interrupt_ends_the_command_although_the_engine_does_not_answer(serve: Serve) -> None:
    engine = ContainerEngine(echo=True)

    def deaf(request: Request) -> bool:
        engine.verbs.append("deaf")
        time.sleep(20)
        return False

    def answer(request: Request) -> bool:
        return deaf(request) if request.path.endswith("/kill") else engine(request)

    process = subprocess.Popen(
        [sys.executable, "-c", "from wherry.cli.main import main; main()", "-H", serve(answer).host, "run", "-i", "busybox"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 10
    while "start" not in engine.verbs and time.monotonic() < deadline:
        time.sleep(0.01)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        process.send_signal(number)
        time.sleep(0.3)
    _, said = process.communicate(timeout=10)
    assert (process.returncode, said.splitlines()[-1]) == (1, "got 3 SIGTERM/SIGINTs, forcefully exiting")


def test_the_create_body_says_only_what_was_asked_for(serve: Serve, wherry: Run) -> None:
    engine = ContainerEngine()
    wherry("-H", serve(engine).host, "run", "-d", "busybox", "true")
    assert engine.created[0] == {
        "Image": "busybox", "Cmd": ["true"], "Tty": False, "OpenStdin": False, "AttachStdin": False,
        "AttachStdout": False, "AttachStderr": False, "StdinOnce": False, "HostConfig": {"NetworkMode": "default"},
    }  # fmt: skip


def test_options_become_the_fields_of_the_api(serve: Serve, wherry: Run, tmp_path: Path) -> None:
    profile = tmp_path / "seccomp.json"
    profile.write_text('{ "defaultAction":\n "SCMP_ACT_ALLOW" }')
    env_file = tmp_path / "env"
    env_file.write_text("# note\nA=1\nUNSET_HERE_X\nB=two words\n")
    engine = ContainerEngine()
    outcome = wherry(
        "-H", serve(engine).host, "create", "-it", "--name", "n", "-e", "C=3", "--env-file", str(env_file), "-w", "/w",
        "-u", "1:2", "-v", "/a:/b:ro", "-v", "/anon", "--mount", "type=tmpfs,dst=/t", "--tmpfs", "/s:size=1m",
        "-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit", "10", "--cap-add", "NET_ADMIN",
        "--cap-drop=ALL", "--privileged", "--read-only", "--security-opt", f"seccomp={profile}", "--security-opt",
        "no-new-privileges", "--ulimit", "nofile=10:20", "--sysctl", "net.ipv4.ip_forward=1", "--device", "/dev/null:rw",
        "--network", "host", "--entrypoint", "", "-h", "hh", "--init", "--restart", "on-failure:3", "--stop-signal", "INT",
        "--stop-timeout", "5", "--log-opt", "max-size=1m", "--pid", "host", "-p", "80:80", "--expose", "90", "-P",
        "-l", "k=v", "--dns", "1.1.1.1", "--add-host", "a:1.2.3.4", "--shm-size", "1g", "--health-cmd", "true",
        "--health-interval", "5s", "--ephemeral", "--annotation", "x=y", "busybox", "sh", "-c", "x",
    )  # fmt: skip
    assert (outcome.code, outcome.stdout) == (0, f"{ID}\n")
    body = engine.created[0]
    host = body.pop("HostConfig")
    assert body == {
        "Image": "busybox", "Cmd": ["sh", "-c", "x"], "Entrypoint": [""], "User": "1:2", "WorkingDir": "/w",
        "Hostname": "hh", "StopSignal": "INT", "StopTimeout": 5, "Env": ["A=1", "B=two words", "C=3"],
        "Labels": {"k": "v"}, "Tty": True, "OpenStdin": True, "AttachStdin": True, "AttachStdout": True,
        "AttachStderr": True, "StdinOnce": True, "Volumes": {"/anon": {}},
        "ExposedPorts": {"80/tcp": {}, "90/tcp": {}},
        "Healthcheck": {"Test": ["CMD-SHELL", "true"], "Interval": 5 * 10**9, "Timeout": 0, "Retries": 0,
                        "StartPeriod": 0, "StartInterval": 0},
    }  # fmt: skip
    assert host == {
        "PidMode": "host", "Memory": 64 << 20, "MemorySwap": -1, "NanoCpus": 1500000000, "ShmSize": 1 << 30,
        "CapAdd": ["CAP_NET_ADMIN"], "CapDrop": ["ALL"], "Dns": ["1.1.1.1"], "ExtraHosts": ["a:1.2.3.4"],
        "Privileged": True, "PublishAllPorts": True, "ReadonlyRootfs": True, "Init": True, "PidsLimit": 10,
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}, "LogConfig": {"Type": "", "Config": {"max-size": "1m"}},
        "Binds": ["/a:/b:ro"], "Mounts": [{"Type": "tmpfs", "Target": "/t"}], "Tmpfs": {"/s": "size=1m"},
        "PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "80"}]},
        "Ulimits": [{"Name": "nofile", "Soft": 10, "Hard": 20}], "Sysctls": {"net.ipv4.ip_forward": "1"},
        "Annotations": {"x": "y", "io.wherry.ephemeral": "true"}, "NetworkMode": "host",
        "SecurityOpt": ['seccomp={"defaultAction": "SCMP_ACT_ALLOW"}', "no-new-privileges"],
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/null", "CgroupPermissions": "rw"}],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--rm", "--restart=always"], "conflicting options: cannot specify both --restart and --rm"),
        (["-p", "abc"], "invalid containerPort: abc"),
        (["-v", "/a:/b:xx:yy"], "invalid spec: /a:/b:xx:yy: too many colons"),
        (["--env-file", "/nonexist"], "open /nonexist: no such file or directory"),
        (["--health-cmd=x", "--no-healthcheck"], "--no-healthcheck conflicts with --health-* options"),
        (["--security-opt", "seccomp=/none"], "opening seccomp profile (/none) failed: open /none: no such file or directory"),
        (["--pull", "foo"], "invalid pull option: 'foo': must be one of \"always\", \"missing\" or \"never\""),
        (["--memory-swappiness", "200"], "invalid value: 200. Valid memory swappiness range is 0-100"),
        (["--pid", "foo"], "--pid: invalid PID mode"),
        (["--uts", "foo"], "--uts: invalid UTS mode"),
        (["--userns", "foo"], "--userns: invalid USER mode"),
        (["--cgroupns", "foo"], "--cgroupns: invalid CGROUP mode"),
        (["--mac-address", "foo"], "foo is not a valid mac address"),
        (["--network=host", "--network=x"], "conflicting options: cannot attach both user-defined and non-user-defined network-modes"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_are_refused_as_docker_refuses_them(
    wherry: Run, options: list[str], message: str
) -> None:
    outcome = wherry("-H", "unix:///nonexistent", "run", *options, "busybox")
    assert outcome.code == 125
    assert outcome.stderr == f"wherry: {message}\n\nRun 'wherry run --help' for more information\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--memory=abc"], 'invalid argument "abc" for "-m, --memory" flag: invalid size: \'abc\''),
        (["--cpus=abc"], 'invalid argument "abc" for "--cpus" flag: failed to parse abc as a rational number'),
        (["--mount", "type=foo"], 'invalid argument "type=foo" for "--mount" flag: target is required'),
        (["--ulimit", "foo"], 'invalid argument "foo" for "--ulimit" flag: invalid ulimit argument: foo'),
        (["--sysctl", "foo"], 'invalid argument "foo" for "--sysctl" flag: sysctl \'foo\' is not allowed'),
        (["--dns", "foo"], 'invalid argument "foo" for "--dns" flag: IP address is not correctly formatted: foo'),
        (["-l", "="], 'invalid argument "=" for "-l, --label" flag: invalid label \'=\': empty name'),
        (["--add-host", "foo"], 'invalid argument "foo" for "--add-host" flag: bad format for add-host: "foo"'),
        (["-a", "foo"], 'invalid argument "foo" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'),
        (["--network=name=x,foo"], 'invalid argument "name=x,foo" for "--network" flag: invalid field foo'),
    ],
)
def test_values_that_do_not_parse_name_their_flag(wherry: Run, options: list[str], text: str) -> None:
    outcome = wherry("run", *options, "busybox")
    assert outcome.code == 125
    assert outcome.stderr == (
        f"{text}\n\nUsage:  wherry run [OPTIONS] IMAGE [COMMAND] [ARG...]\n\nRun 'wherry run --help' for more information\n"
    )


def test_a_terminal_inside_needs_one_here(wherry: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    read_end, write_end = os.pipe()
    saved = os.dup(0)
    os.dup2(read_end, 0)
    try:
        outcome = wherry("run", "-it", "busybox")
    finally:
        os.dup2(saved, 0)
        for descriptor in (read_end, write_end, saved):
            os.close(descriptor)
    assert (outcome.code, outcome.stderr) == (1, "the input device is not a TTY\n")


def test_a_cidfile_is_written_once(serve: Serve, wherry: Run, tmp_path: Path) -> None:
    cidfile = tmp_path / "id"
    host = serve(ContainerEngine()).host
    assert wherry("-H", host, "run", "-d", "--cidfile", str(cidfile), "busybox").code == 0
    assert cidfile.read_text() == ID
    outcome = wherry("-H", host, "run", "-d", "--cidfile", str(cidfile), "busybox")
    assert outcome.code == 125 and "container ID file found" in outcome.stderr

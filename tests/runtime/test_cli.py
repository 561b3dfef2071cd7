"""``wherry-runtime`` as a program: life cycle, states, errors, options, and Debian's podman on top of it."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pytest
import referencing
import referencing.jsonschema

from tests.runtime.container import WHERRY_RUNTIME, Spec, base_spec, make_rootfs, read_all, shell
from wherry.linux import mountinfo

pytestmark = pytest.mark.privileged

_SCHEMAS = os.path.join(os.path.dirname(__file__), "../../../shared/reference/oci-runtime")


@pytest.fixture
def oci_schema() -> Callable[[str, Any], None]:
    """``check(name, value)``: validate against a schema of the runtime specification, where its files are at hand."""
    if not os.path.isdir(_SCHEMAS):
        pytest.skip("the specification's schemas are not part of the project")
    resources = []
    for name in os.listdir(_SCHEMAS):
        with open(f"{_SCHEMAS}/{name}", encoding="utf-8") as file:
            resources.append((name, referencing.jsonschema.DRAFT4.create_resource(json.load(file))))
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(resources)

    def check(name: str, value: Any) -> None:
        with open(f"{_SCHEMAS}/{name}", encoding="utf-8") as file:
            jsonschema.validate(value, json.load(file), registry=registry)

    return check


class Runtime:
    """The command line on one state root and one bundle."""

    def __init__(self, directory: str, rootfs: str) -> None:
        self.root = f"{directory}/state"
        self.bundle = f"{directory}/bundle"
        os.mkdir(self.bundle)
        subprocess.run(["cp", "-a", rootfs, f"{self.bundle}/rootfs"], check=True)

    def configure(self, spec: Spec) -> None:
        """Write config.json, with a cgroup that no other test has."""
        spec["linux"].setdefault("cgroupsPath", f"/wherry-test/{uuid.uuid4().hex[:12]}")
        with open(f"{self.bundle}/config.json", "w", encoding="utf-8") as file:
            json.dump(spec, file)

    def command(self, *args: str) -> list[str]:
        """The command with the global options."""
        return [WHERRY_RUNTIME, "--root", self.root, *args]

    def __call__(self, *args: str, status: int = 0, text: str = "") -> str:
        """Run a command; its output (both streams) when it ends with ``status``. Never waits for the container."""
        path = f"{self.root}.out"
        with open(path, "w", encoding="utf-8") as output:
            ended = subprocess.run(
                self.command(*args), stdout=output, stderr=output, input=text, text=True, timeout=30
            )
        with open(path, encoding="utf-8") as output:
            said = output.read()
        assert ended.returncode == status, said
        return said

    def state(self, name: str) -> dict[str, object]:
        """The output of ``state``."""
        return dict(json.loads(self("state", name)))

    def wait_status(self, name: str, status: str) -> None:
        """Until ``state`` says so."""
        for _ in range(100):
            if self.state(name)["status"] == status:
                return
            time.sleep(0.02)
        raise AssertionError(self.state(name))


@pytest.fixture
def runtime(tmp_path: object, busybox_rootfs: str) -> Iterator[Runtime]:
    """Leaves no container, mount or cgroup."""
    mounts = len(mountinfo.read())
    made = Runtime(str(tmp_path), busybox_rootfs)
    yield made
    for name in os.listdir(made.root) if os.path.isdir(made.root) else ():
        made("delete", "--force", name)
    assert len(mountinfo.read()) == mounts


def test_a_container_goes_through_its_states(runtime: Runtime) -> None:
    runtime.configure(base_spec("sleep", "60"))
    runtime("create", "-b", runtime.bundle, "--pid-file", f"{runtime.bundle}/pid", "c1")
    state = runtime.state("c1")
    assert state["status"] == "created"
    with open(f"{runtime.bundle}/pid", encoding="ascii") as file:
        assert int(file.read()) == state["pid"]
    assert (state["id"], state["bundle"], state["ociVersion"]) == ("c1", runtime.bundle, "1.2.0")
    runtime("start", "c1")
    assert runtime.state("c1")["status"] == "running"
    assert "already running" in runtime("start", "c1", status=1)
    assert "not stopped: running" in runtime("delete", "c1", status=1)
    runtime("pause", "c1")
    assert runtime.state("c1")["status"] == "paused"
    assert "paused" in runtime("exec", "c1", "true", status=255)
    runtime("resume", "c1")
    runtime("kill", "c1", "SIGKILL")
    runtime.wait_status("c1", "stopped")
    assert runtime.state("c1")["pid"] == 0
    assert "container not running" in runtime("kill", "c1", status=1)
    assert "stopped" in runtime("start", "c1", status=1)
    runtime("delete", "c1")
    assert "container does not exist" in runtime("state", "c1", status=1)
    runtime("delete", "--force", "c1")


def test_the_state_follows_the_schema(runtime: Runtime, oci_schema: Callable[[str, Any], None]) -> None:
    runtime.configure({**base_spec("true"), "annotations": {"a": "b"}})
    runtime("create", "-b", runtime.bundle, "c1")
    oci_schema("state-schema.json", runtime.state("c1"))
    assert runtime.state("c1")["annotations"] == {"a": "b"}


def test_an_id_is_unique_and_well_formed(runtime: Runtime) -> None:
    runtime.configure(base_spec("true"))
    runtime("create", "-b", runtime.bundle, "c1")
    assert "container with given ID already exists" in runtime("create", "-b", runtime.bundle, "c1", status=1)
    for name in ("a/b", "..", "ä", ""):
        assert "invalid id format" in runtime("create", "-b", runtime.bundle, name, status=1)


@pytest.mark.parametrize("status", [0, 3])
def test_run_ends_with_the_programs_status_and_leaves_nothing(runtime: Runtime, status: int) -> None:
    runtime.configure(shell(f"echo out; echo err >&2; exit {status}"))
    assert runtime("run", "-b", runtime.bundle, "c1", status=status) == "out\nerr\n"
    assert os.listdir(runtime.root) == []
    assert runtime("list", "-q") == ""


def test_run_ends_with_128_and_the_signal(runtime: Runtime) -> None:
    runtime.configure(base_spec("sleep", "60"))
    process = subprocess.Popen(runtime.command("run", "-b", runtime.bundle, "c1"))
    for _ in range(200):
        if os.path.exists(f"{runtime.root}/c1/state.json") and not os.path.exists(f"{runtime.root}/c1/start.sock"):
            break
        time.sleep(0.02)
    runtime("kill", "--all", "c1", "KILL")
    assert process.wait(10) == 137


def test_run_hands_signals_on(runtime: Runtime) -> None:
    runtime.configure(shell("trap 'echo got it; exit 9' TERM; echo ready; while :; do sleep 0.05; done"))
    process = subprocess.Popen(runtime.command("run", "-b", runtime.bundle, "c1"), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process.stdout as stdout:
        assert stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        assert stdout.read() == "got it\n"
    assert process.wait(10) == 9


def test_run_serves_a_terminal(runtime: Runtime) -> None:
    spec = shell('tty; stty size; read line; echo "<$line>"')
    spec["process"]["terminal"] = True
    runtime.configure(spec)
    pid, master = pty.fork()
    if pid == 0:
        os.execv(WHERRY_RUNTIME, runtime.command("run", "-b", runtime.bundle, "c1"))
    seen = b""
    while b"/dev/pts/0" not in seen:
        assert select.select([master], [], [], 10)[0], seen
        seen += os.read(master, 4096)
    os.write(master, b"hello\n")
    output = seen.decode() + read_all(master)
    assert "<hello>" in output
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def test_errors_go_to_the_log_as_json(runtime: Runtime) -> None:
    runtime.configure(base_spec("nope"))
    log = f"{runtime.bundle}/log"
    subprocess.run([WHERRY_RUNTIME, "--root", runtime.root, "--log", log, "--log-format", "json", "create", "-b",
                    runtime.bundle, "c1"], check=False, stderr=subprocess.DEVNULL)  # fmt: skip
    with open(log, encoding="utf-8") as file:
        entry = json.loads(file.read())
    assert entry["level"] == "error"
    assert entry["msg"] == 'exec: "nope": executable file not found in $PATH'
    assert os.listdir(runtime.root) == []


def test_bad_bundles_are_named(runtime: Runtime) -> None:
    assert "config.json not found" in runtime("create", "-b", "/nowhere", "c1", status=1)
    with open(f"{runtime.bundle}/config.json", "w", encoding="ascii") as file:
        file.write("{")
    assert "config.json" in runtime("create", "-b", runtime.bundle, "c1", status=1)
    spec = base_spec("true")
    spec["ociVersion"] = "2.0.0"
    runtime.configure(spec)
    assert "2.0.0" in runtime("create", "-b", runtime.bundle, "c1", status=1)
    spec = base_spec("true")
    spec["root"]["path"] = "missing"
    runtime.configure(spec)
    assert "invalid rootfs" in runtime("create", "-b", runtime.bundle, "c1", status=1)
    assert os.listdir(runtime.root) == []


def test_exec_takes_runcs_options(runtime: Runtime) -> None:
    runtime.configure(base_spec("sleep", "60"))
    runtime("run", "-d", "-b", runtime.bundle, "c1")
    said = runtime("exec", "-e", "A=b", "--cwd", "/tmp", "-u", "1000:7", "-g", "44", "--no-new-privs", "c1", "sh", "-c",
                   "echo $A; pwd; id -u; id -g; id -G; grep NoNewPrivs /proc/self/status; exit 6", status=6)  # fmt: skip
    assert said.split() == ["b", "/tmp", "1000", "7", "7", "44", "NoNewPrivs:", "1"]
    process = {**base_spec("id", "-u")["process"], "user": {"uid": 5, "gid": 5}}
    path = f"{runtime.bundle}/process.json"
    with open(path, "w", encoding="utf-8") as file:
        json.dump(process, file)
    assert runtime("exec", "--process", path, "c1") == "5\n"
    assert "CapEff:\t0000000000200000" in runtime("exec", "--cap", "CAP_SYS_ADMIN", "--cap", "CAP_CHOWN", "c1", "sh", "-c",
                                                  "grep CapEff /proc/self/status").replace("a82425fb", "00200000")  # fmt: skip
    runtime("exec", "-d", "--pid-file", f"{runtime.bundle}/pid", "c1", "sleep", "50")
    with open(f"{runtime.bundle}/pid", encoding="ascii") as file:
        assert int(file.read()) in json.loads(runtime("ps", "--format", "json", "c1"))
    assert "sleep 50" in runtime("ps", "c1")
    assert "executable file not found" in runtime("exec", "c1", "nope", status=255)


def test_kill_takes_names_and_numbers(runtime: Runtime) -> None:
    runtime.configure(shell("trap 'echo usr1 > /got' USR1; while :; do sleep 0.02; done"))
    runtime("run", "-d", "-b", runtime.bundle, "c1")
    time.sleep(0.1)
    for name in ("USR1", "SIGUSR1", "usr1", str(int(signal.SIGUSR1))):
        runtime("kill", "c1", name)
        for _ in range(100):
            if os.path.exists(f"{runtime.bundle}/rootfs/got"):
                break
            time.sleep(0.02)
        os.unlink(f"{runtime.bundle}/rootfs/got")
    assert 'unknown signal \\"NOPE\\"' in runtime("kill", "c1", "NOPE", status=1)


def test_r34_a_frozen_container_can_be_killed_and_deleted(runtime: Runtime) -> None:
    runtime.configure(base_spec("sleep", "60"))
    runtime("run", "-d", "-b", runtime.bundle, "c1")
    runtime("pause", "c1")
    began = time.monotonic()
    runtime("kill", "c1", "KILL")
    runtime.wait_status("c1", "stopped")
    runtime("delete", "c1")
    runtime("run", "-d", "-b", runtime.bundle, "c2")
    runtime("pause", "c2")
    runtime("delete", "--force", "c2")
    assert time.monotonic() - began < 3


def test_update_and_events_agree(runtime: Runtime) -> None:
    runtime.configure(base_spec("sleep", "60"))
    runtime("run", "-d", "-b", runtime.bundle, "c1")
    runtime("update", "--memory", "64m", "--pids-limit", "33", "c1")
    event = json.loads(runtime("events", "--stats", "c1"))
    assert (event["type"], event["id"]) == ("stats", "c1")
    assert event["data"]["memory"]["usage"]["limit"] == 64 << 20
    assert event["data"]["pids"]["limit"] == 33
    runtime("update", "--resources", "-", "c1", text='{"pids": {"limit": 44}}')
    assert json.loads(runtime("events", "--stats", "c1"))["data"]["pids"]["limit"] == 44


def test_list_shows_all(runtime: Runtime) -> None:
    runtime.configure(base_spec("sleep", "60"))
    for name in ("c1", "c2"):
        runtime.configure(base_spec("sleep", "60"))
        runtime("create", "-b", runtime.bundle, name)
    assert runtime("list", "-q").split() == ["c1", "c2"]
    table = runtime("list").splitlines()
    assert table[0].split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert re.match(r"c1 +\d+ +created +/", table[1])
    assert [item["id"] for item in json.loads(runtime("list", "--format", "json"))] == ["c1", "c2"]


def test_the_written_spec_runs(runtime: Runtime) -> None:
    runtime("spec", "-b", runtime.bundle)
    assert "exists. Remove it first" in runtime("spec", "-b", runtime.bundle, status=1)
    with open(f"{runtime.bundle}/config.json", encoding="utf-8") as file:
        spec = json.load(file)
    spec["process"]["terminal"] = False
    spec["process"]["args"] = ["/bin/busybox", "echo", "from the default spec"]
    runtime.configure(spec)
    assert runtime("run", "-b", runtime.bundle, "c1") == "from the default spec\n"


def test_features_follow_the_schema(runtime: Runtime, oci_schema: Callable[[str, Any], None]) -> None:
    said = json.loads(runtime("features"))
    oci_schema("features-schema.json", said)
    assert said["ociVersionMax"].startswith("1.2")


def test_the_console_socket_gets_the_terminal(runtime: Runtime) -> None:
    spec = shell("echo on the pty")
    spec["process"]["terminal"] = True
    runtime.configure(spec)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(f"{runtime.bundle}/s")
        listener.listen(1)
        runtime("run", "-d", "--console-socket", f"{runtime.bundle}/s", "-b", runtime.bundle, "c1")
        connection, _ = listener.accept()
        with connection:
            fds = socket.recv_fds(connection, 4096, 1)[1]
    assert read_all(fds[0]) == "on the pty\r\n"


def test_poststart_and_poststop_hooks_run(runtime: Runtime) -> None:
    log = f"{runtime.bundle}/log"
    spec = base_spec("true")
    for kind in ("poststart", "poststop"):
        script = f'echo {kind} >> {log}; grep -o \'"status": "[a-z]*"\' >> {log}'
        spec.setdefault("hooks", {})[kind] = [{"path": "/bin/sh", "args": ["sh", "-c", script]}]
    runtime.configure(spec)
    runtime("run", "-b", runtime.bundle, "c1")
    with open(log, encoding="utf-8") as file:
        lines = file.read().split("\n")
    assert lines[0] == "poststart"
    assert lines[2:4] == ["poststop", '"status": "stopped"']


class Podman:
    """Debian's podman with storage of its own."""

    def __init__(self, directory: str, rootfs: str) -> None:
        self._options = ["--root", f"{directory}/root", "--runroot", f"{directory}/runroot", "--storage-driver", "vfs",
                         "--cgroup-manager", "cgroupfs", "--runtime", WHERRY_RUNTIME]  # fmt: skip
        archive = subprocess.run(["tar", "-C", rootfs, "-c", "."], check=True, capture_output=True).stdout
        subprocess.run(
            ["podman", *self._options, "import", "-", "box"], input=archive, check=True, capture_output=True
        )

    def __call__(self, *args: str, status: int = 0) -> str:
        """Run; the output of both streams."""
        ended = subprocess.run(["podman", *self._options, *args], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               stdin=subprocess.DEVNULL, text=True, timeout=60)  # fmt: skip
        assert ended.returncode == status, ended.stdout
        return ended.stdout


@pytest.fixture
def podman(busybox_rootfs: str) -> Iterator[Podman]:
    """Removes its containers."""
    with tempfile.TemporaryDirectory(prefix="pod") as directory:  # podman refuses a runroot of over 50 characters
        made = Podman(directory, busybox_rootfs)
        yield made
        made("rm", "--force", "--all", "--time", "0")


@pytest.mark.peer
def test_podman_runs_execs_pauses_and_stops_containers(podman: Podman) -> None:
    assert podman("run", "--rm", "--network", "none", "box", "echo", "hello") == "hello\n"
    assert "executable file" in podman("run", "--rm", "--network", "none", "box", "nope", status=127)
    podman("run", "--rm", "--network", "host", "box", "sh", "-c", "exit 7", status=7)
    assert "/dev/pts/0" in podman("run", "--rm", "-t", "--network", "none", "box", "tty")
    podman("run", "-d", "--name", "c1", "--network", "none", "--memory", "64m", "box", "sh", "-c",
           "trap 'exit 3' TERM; while :; do sleep 0.1; done")  # fmt: skip
    assert podman("exec", "c1", "cat", "/proc/1/comm") == "sh\n"
    podman("exec", "c1", "sh", "-c", "exit 5", status=5)
    podman("exec", "c1", "nope", status=127)
    assert "67.11MB" in podman("stats", "--no-stream", "c1")
    podman("pause", "c1")
    assert "Paused" in podman("ps", "-a")
    podman("unpause", "c1")
    podman("stop", "-t", "5", "c1")
    assert "Exited (3)" in podman("ps", "-a")
    podman("start", "c1")
    podman("kill", "c1")
    assert podman("wait", "c1").strip() == "137"


def test_make_rootfs_holds_a_shell(tmp_path: object) -> None:
    make_rootfs(f"{tmp_path}/r")
    assert os.path.exists(f"{tmp_path}/r/bin/sh")
